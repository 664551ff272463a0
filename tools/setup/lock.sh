#!/usr/bin/env bash
# Writes requirements/*.txt and the locks of the isolated toolchains: versions and hashes, no download addresses.
set -euo pipefail
cd "$(dirname "$0")/../.."
uv=${UV:-uv}
lock() {
  local name=$1
  shift
  "$uv" pip compile pyproject.toml "$@" --universal --python-version 3.10 --generate-hashes --no-header \
    --no-emit-index-url --no-emit-find-links --no-annotate --quiet -o "requirements/$name.txt"
}
lock dev --extra dev
constraints=(-c requirements/dev.txt)
lock demo --extra demo --extra openvino --extra onnxruntime "${constraints[@]}"
lock convert --extra convert --extra openvino --extra onnxruntime --extra tflite "${constraints[@]}"
lock agent --extra openvino --extra onnxruntime --extra page --extra provision --extra update "${constraints[@]}"
lock agent-test --extra test --extra page --extra update "${constraints[@]}"

# What the packages for boxes carry (tools/packages): the agent's own, then of each runtime what it adds.
mkdir -p requirements/box
lock box/agent --extra page --extra signing --extra update "${constraints[@]}"
for runtime in onnxruntime openvino tflite; do
  lock "box/$runtime" --extra "$runtime" -c requirements/box/agent.txt "${constraints[@]}"
done
# JetPack 6 has CUDA 12, whose driver takes no runtime of CUDA 13; JetPack 7's driver takes both.
lock box/tensorrt --extra tensorrt --extra nvidia -c requirements/box/agent.txt -c <(echo "cuda-bindings<13")
lock box/fleet --extra console --extra fleet-postgresql --extra fleet-s3 "${constraints[@]}"
echo pip | "$uv" pip compile - --universal --python-version 3.10 --generate-hashes --no-header --no-emit-index-url \
  --no-emit-find-links --no-annotate --quiet -o requirements/box/pip.txt

# Environments of one Python each, whose pins conflict with all of the above.
lock_alone() {
  local python=$1 from=$2 to=$3
  shift 3
  "$uv" pip compile "$from" "$@" --universal --python-version "$python" --generate-hashes --no-header \
    --no-emit-index-url --no-emit-find-links --no-annotate --quiet -o "$to"
}
lock_alone 3.11 pyproject.toml requirements/tflite-runtime.txt --extra tflite-runtime --extra test
toolchains=converters/toolchains/locks
lock_alone 3.12 "$toolchains/onnx2tf.in" "$toolchains/onnx2tf.txt"
lock_alone 3.11 "$toolchains/ai-edge-quantizer.in" "$toolchains/ai-edge-quantizer.txt"
# Its int8 placement needs no PyTorch, which would bring gigabytes of CUDA.
lock_alone 3.11 "$toolchains/modelopt.in" "$toolchains/modelopt.txt" --override <(echo "torch ; python_version < '3'")
