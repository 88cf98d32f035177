// Hashes of what the kernels compute, on machines that every processor makes alike: `make neon` compares those of an
// emulated ARM processor with this one's.
#include <stdio.h>

#include <vector>

#include "machine.hpp"

using namespace harmonium;

template <class T>
static uint64_t hash(const std::vector<T>& x) {  // FNV-1a
    uint64_t h = 0xcbf29ce484222325u;
    const unsigned char* bytes = reinterpret_cast<const unsigned char*>(x.data());
    for (size_t i = 0; i < x.size() * sizeof(T); i++) h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}

// Multiples of 2^-20 between -1 and 1.
static std::vector<float> numbers(const Kernels& k, uint32_t stream, size_t rows, size_t columns, float scale) {
    std::vector<uint32_t> words(rows * columns);
    k.random({1, 0, 0, stream, 0}, int(rows), int(columns), words.data());
    std::vector<float> x;
    for (uint32_t word : words) x.push_back((float(word >> 11) * 0x1p-20f - 1) * scale);
    return x;
}

static std::vector<uint64_t> states(const Kernels& k, uint32_t stream, size_t rows, size_t n, float density) {
    std::vector<uint64_t> words(rows * ((n + 63) / 64));
    draw(k, std::vector<float>(rows * n, density).data(), rows, n, {2, 0, 0, stream, 0}, words.data(), (n + 63) / 64);
    return words;
}

static void show(const Kernels& k, size_t m, size_t n, size_t rows, float density) {
    const auto print = [&](const char* what, uint64_t h) { printf("%zu x %zu, %zu rows: %s %016llx\n", m, n, rows, what, (unsigned long long)h); };
    const std::vector<float> W = numbers(k, 0, m, n, 0.25f), b = numbers(k, 1, 1, m, 1), c = numbers(k, 2, 1, n, 1);
    Machine machine(k, {W.data(), n, m, 1, ptrdiff_t(n)}, b.data(), c.data());
    const size_t words_v = (m + 63) / 64, words_h = (n + 63) / 64;
    const std::vector<uint64_t> v = states(k, 3, rows, m, density);
    std::vector<uint64_t> h(rows * words_h), last(rows * words_v);
    std::vector<float> logits(rows * n), means(rows * n);
    const std::vector<float> offset = numbers(k, 4, 1, n, 2), beta = {0.5f};
    const Affine plain = {nullptr, nullptr, 1, 1, 0}, scaled = {beta.data(), offset.data(), rows, rows, n};
    for (const Affine& affine : {plain, scaled}) {
        machine.sample(true, {v.data(), rows, words_v}, {5, 6, 7, 8, 9}, affine, h.data(), words_h);
        print("h", hash(h));
        machine.sample(false, {h.data(), rows, words_h}, {5, 6, 8, 8, 9}, plain, last.data(), words_v);
        print("v", hash(last));
    }
    machine.logits(true, {v.data(), rows, words_v}, logits.data());
    print("logits", hash(logits));
    mean(k, logits.data(), rows, n, scaled, means.data());
    print("means", hash(means));
    std::vector<double> sums(rows);
    softplus_sum(k, logits.data(), rows, n, scaled, sums.data());
    print("softplus", hash(sums));
    machine.pseudo_log_likelihood({v.data(), rows, words_v}, sums.data());
    print("pseudo-likelihood", hash(sums));
    const std::vector<float> centre(m, 0.25f);
    std::vector<float> mean_h(n);
    for (uint32_t step = 0; step < 3; step++)
        machine.contrast({{v.data(), rows, words_v}, nullptr, nullptr, nullptr, rows, 2, {1, 2, step, 0, 0}, {1, 2, 2 * step, 1, 0}, {1, 2, 2 * step, 2, 0},
                          centre.data(), step ? mean_h.data() : nullptr, 0.1f, last.data(), means.data(), logits.data(), nullptr, mean_h.data()},
                         {0.1f, 0.5f, 0.01f});
    std::vector<float> trained(m * n);
    machine.weights().write(trained.data());
    print("weights", hash(trained));
    print("chains", hash(last));
}

int main() {
    const Kernels& k = *find_kernels(nullptr);
    for (const float density : {0.13f, 0.5f, 1.0f}) show(k, 784, 100, 100, density);
    show(k, 300, 130, 10, 0.3f);
    show(k, 64, 256, 40, 0.5f);
    show(k, 129, 37, 130, 0.4f);
    show(k, 1, 1, 3, 0.5f);
    std::vector<double> W(20 * 9, 0.25), b(20, -0.5), c(9, 0.125);
    for (size_t i = 0; i < W.size(); i++) W[i] *= double(i % 7) - 3;
    const double log_z = log_partition_block(k, 20, 9, W.data(), b.data(), c.data(), 0, 512);
    printf("enumeration: %a\n", log_z);
}
