// The copies of the weights that products are made with.
#include <float.h>
#include <math.h>

#include <algorithm>

#include "machine.hpp"

namespace harmonium {

void Machine::renew() {
    Buffer<float> column_max(round_up(n_, 64)), row_max(round_up(m_, 64) * 16);
    for (size_t j = 0; j < m_; j += 64)
        for (size_t i = 0; i < n_; i += 32) kernels_.maxima(W_.tile(j / 64, i / 32), 64, &column_max[i], &row_max[j * 16]);
    for (size_t j = 0; j < m_; j++) visible_.exact.fit(j, *std::max_element(&row_max[j * 16], &row_max[j * 16] + 16), 23);
    for (size_t i = 0; i < n_; i++) hidden_.exact.fit(i, column_max[i], 23);
    for (Packed* copy : {&hidden_.exact, &hidden_.early, &visible_.exact, &visible_.early}) copy->current = copy->asked = false;
    forget_rows();
}

// Where the weights of 32 units of a layer and of 64 of the other are: a tile of them, or halves of two.
struct Place {
    const float *first, *second;  // the second one for visible units
};
static Place place(const Tiles& W, bool hidden, int column, int block) {
    if (hidden) return {W.tile(block, column), nullptr};
    const int half = column % 2 * 1024;
    return {W.tile(column / 2, 2 * block) + half, W.tile(column / 2, 2 * block + 1) + half};
}

void Machine::pack(bool hidden, int column, int block) {
    Packed& to = (hidden ? hidden_ : visible_).exact;
    const Place at = place(W_, hidden, column, block);
    const float* factors = &to.inverse[column * 32];
    if (hidden) kernels_.pack_kn(at.first, nullptr, factors, to.column(column), to.n_blocks, block);
    else kernels_.pack_nk(at.first, at.second, factors, to.column(column), to.n_blocks, block);
}

uint32_t Machine::pack_early(bool hidden, int column, int block) {
    Packed& to = (hidden ? hidden_ : visible_).early;
    const Place at = place(W_, hidden, column, block);
    const float* factors = &to.inverse[column * 32];
    return hidden ? kernels_.pack_early_kn(at.first, factors, to.column(column), block)
                  : kernels_.pack_early_nk(at.first, at.second, factors, to.column(column), block);
}

void Machine::fit_early(bool hidden, int column) {
    Packed& to = (hidden ? hidden_ : visible_).early;
    float extents[32] = {};
    for (int block = 0; block < to.n_blocks; block++) {
        const Place at = place(W_, hidden, column, block);
        hidden ? kernels_.extents_kn(at.first, extents) : kernels_.extents_nk(at.first, at.second, extents);
    }
    // A hundredth more, for the rounding of sums and of each number. Where weights are not finite the scale is so large
    // that the second pass decides.
    for (int i = 0; i < std::min(32, to.n_units - column * 32); i++)
        to.fit(column * 32 + i, extents[i] <= FLT_MAX ? extents[i] * 1.01f : INFINITY, 15);
}

Packed& Machine::ready(bool hidden, bool early) const {
    // Not a change that anybody can see: the copies hold what W says.
    Machine& self = const_cast<Machine&>(*this);
    Layer& layer = hidden ? self.hidden_ : self.visible_;
    Packed& copy = early ? layer.early : layer.exact;
    const std::lock_guard<std::mutex> lock(packing_);
    copy.asked = true;
    if (copy.current) return copy;
    copy.reserve();
#pragma omp parallel for num_threads(threads_for(double(m_) * n_)) schedule(static)
    for (int column = 0; column < copy.n_columns; column++) {
        if (early) self.fit_early(hidden, column);
        for (int block = 0; block < copy.n_blocks; block++) early ? void(self.pack_early(hidden, column, block)) : self.pack(hidden, column, block);
    }
    copy.current = true;
    return copy;
}

// Reading one hidden unit's weights from the tiles takes a line of the cache for each. When that has cost about as much as
// a copy in another order, the copy is made; a step of training comes before that.
const float* Machine::rows_h() const {
    Machine& self = const_cast<Machine&>(*this);
    const std::lock_guard<std::mutex> lock(packing_);
    if (!rows_h_current_ && n_open_h_ > 4 * n_) {
        float* rows = self.rows_h_.reserve(row_length() * n_);
#pragma omp parallel for num_threads(threads_for(double(m_) * n_)) schedule(static)
        for (size_t first = 0; first < n_; first += 32)
            for (size_t j = 0; j < m_; j++)
                for (size_t i = first; i < std::min(n_, first + 32); i++) rows[i * row_length() + j] = W_.at(j, i);
        self.rows_h_current_ = true;
    }
    return rows_h_current_ ? rows_h_.get() : nullptr;
}

std::vector<std::string> Machine::copies() const {
    const std::lock_guard<std::mutex> lock(packing_);
    std::vector<std::string> names;
    for (const bool hidden : {true, false}) {
        const Layer& layer = hidden ? hidden_ : visible_;
        const std::string of = hidden ? " h" : " v";
        if (layer.exact.current) names.push_back("exact" + of);
        if (layer.early.current) names.push_back("early" + of);
    }
    if (rows_h_current_) names.push_back("rows h");
    if (exponentials_current_) names.push_back("exponentials");
    return names;
}

}  // namespace harmonium
