#include "pool.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <new>

namespace harmonium {

void* Pool::take(size_t bytes) {
    bytes = std::max<size_t>(bytes, 64);
    {
        std::lock_guard<std::mutex> lock(mutex_);
        for (auto it = free_.rbegin(); it != free_.rend(); ++it)
            if (it->bytes == bytes) {
                void* data = it->data;
                free_.erase(std::next(it).base());
                return data;
            }
    }
    char* block = static_cast<char*>(std::aligned_alloc(64, (bytes + HEADER + 63) / 64 * 64));
    if (!block) throw std::bad_alloc();
    *reinterpret_cast<size_t*>(block) = bytes;
    return block + HEADER;
}

void Pool::give_back(void* data) noexcept {
    char* block = static_cast<char*>(data) - HEADER;
    std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back({*reinterpret_cast<size_t*>(block), data});
    if (free_.size() > KEPT || free_.back().bytes > LARGEST) {
        const auto victim = free_.back().bytes > LARGEST ? std::prev(free_.end()) : free_.begin();
        std::free(static_cast<char*>(victim->data) - HEADER);
        free_.erase(victim);
    }
}

Pool& pool() {
    static Pool* const instance = new Pool;  // outlives every array
    return *instance;
}

}  // namespace harmonium
