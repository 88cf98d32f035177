// Memory of arrays that have been let go, for the next array of the same size: a step of training makes the same few
// arrays again and again, and fresh pages from the system cost as much as filling them.
#pragma once

#include <stddef.h>

#include <mutex>
#include <vector>

namespace harmonium {

class Pool {
  public:
    void* take(size_t bytes);
    void give_back(void* data) noexcept;

    // Held over a fork, which must not take place while another thread holds it: the new process would wait for ever.
    void lock() { mutex_.lock(); }
    void unlock() { mutex_.unlock(); }

  private:
    static constexpr size_t HEADER = 64, KEPT = 16, LARGEST = 4 << 20;
    struct Block {
        size_t bytes;
        void* data;
    };
    std::mutex mutex_;
    std::vector<Block> free_;
};

Pool& pool();

}  // namespace harmonium
