// Real arrays as they come: packed where they hold nothing but 0 and 1, and otherwise checked and made floats.
#include <atomic>

#include "machine.hpp"

namespace harmonium {

template <class T>
bool encode_binary(const T* X, size_t rows, size_t n, uint64_t* out, size_t out_stride) {
    std::atomic<bool> binary{true};
#pragma omp parallel for num_threads(threads_for(double(rows) * n)) schedule(static)
    for (size_t r = 0; r < rows; r++)
        for (size_t word = 0; word < out_stride && binary; word++) {
            const T* const x = X + r * n + word * 64;
            const size_t width = n - word * 64 < 64 ? n - word * 64 : 64;
            uint64_t bits = 0;
            bool others = false;
            for (size_t i = 0; i < width; i++) {
                others |= x[i] != 0 && x[i] != 1;
                bits |= uint64_t(x[i] == 1) << i;
            }
            out[r * out_stride + word] = bits;
            if (others) binary = false;
        }
    return binary;
}
template bool encode_binary(const float*, size_t, size_t, uint64_t*, size_t);
template bool encode_binary(const double*, size_t, size_t, uint64_t*, size_t);

template <class T>
bool floats_of_unit(const T* X, size_t rows, size_t n, float* out) {
    std::atomic<bool> sound{true};
#pragma omp parallel for num_threads(threads_for(double(rows) * n)) schedule(static)
    for (size_t r = 0; r < rows; r++) {
        const T* const x = X + r * n;
        int outside = 0;  // NaN too, which compares with nothing
        for (size_t i = 0; i < n; i++) {
            outside |= !(x[i] >= 0) | !(x[i] <= 1);
            out[r * n + i] = float(x[i]);
        }
        if (outside) sound = false;
    }
    return sound;
}
template bool floats_of_unit(const float*, size_t, size_t, float*);
template bool floats_of_unit(const double*, size_t, size_t, float*);

}  // namespace harmonium
