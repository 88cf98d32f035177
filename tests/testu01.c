// The batteries of TestU01 on what comes in: `python tests/randomness.py training | testu01 SmallCrush`.
// Every number is one 32-bit word, as the library drew it; Rabbit and Alphabit take 2^28 bits.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <testu01/bbattery.h>
#include <testu01/swrite.h>
#include <testu01/unif01.h>

static unsigned int next_word(void) {
    static uint32_t words[1 << 16];
    static size_t at = 0, n = 0;
    if (at == n) {
        at = 0, n = fread(words, 4, sizeof words / 4, stdin);
        if (n == 0) fprintf(stderr, "the input has ended before the tests had enough\n"), exit(2);
    }
    return words[at++];
}

int main(int n_arguments, char** arguments) {
    const char* battery = n_arguments == 2 ? arguments[1] : "";
    unif01_Gen* words = unif01_CreateExternGenBits("harmonium", next_word);
    swrite_Basic = FALSE;
    if (!strcmp(battery, "SmallCrush")) bbattery_SmallCrush(words);
    else if (!strcmp(battery, "Crush")) bbattery_Crush(words);
    else if (!strcmp(battery, "BigCrush")) bbattery_BigCrush(words);
    else if (!strcmp(battery, "Rabbit")) bbattery_Rabbit(words, 0x1p28);
    else if (!strcmp(battery, "Alphabit")) bbattery_Alphabit(words, 0x1p28, 0, 32);
    else return fprintf(stderr, "testu01 SmallCrush, Crush, BigCrush, Rabbit or Alphabit\n"), 2;
    // A sound generator gives a p-value outside of [1e-6, 1 - 1e-6] twice in a million.
    double least = 1;
    for (int i = 0; i < bbattery_NTests; i++) {
        const double p = bbattery_pVal[i], side = p < 0.5 ? p : 1 - p;
        if (p >= 0 && side < least) least = side;
    }
    printf("%s: %d p-values, the nearest to 0 or 1 at %.2g\n", battery, bbattery_NTests, least);
    return least < 1e-6;
}
