// Real arrays that hold nothing but 0 and 1, packed as they are found to.
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

}  // namespace harmonium
