/* What the kernel says of its clock: the number that $ADJTIMEX_FILE holds. To be preloaded. */
#include <stdio.h>
#include <stdlib.h>

int adjtimex(void *unused) {
    int state = -1;
    const char *path = getenv("ADJTIMEX_FILE");
    FILE *file = path ? fopen(path, "r") : NULL;
    (void)unused;
    if (file) {
        if (fscanf(file, "%d", &state) != 1) state = -1;
        fclose(file);
    }
    return state;
}
