// How many threads work at a task.
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "machine.hpp"

namespace harmonium {

// GNU OpenMP waits for ever for the threads of its pool in a forked process, where they do not exist.
static bool forked = false;
void stay_on_one_thread() { forked = true; }

static thread_local int n_rows_of_steps = 0;  // that this thread is in
Steps::Steps() { n_rows_of_steps++; }
Steps::~Steps() { n_rows_of_steps--; }

static bool assumed_awake = false;
bool assume_awake(bool awake) { return std::exchange(assumed_awake, awake); }

// Whether this thread has had work, as much as here, without a pause for so long that it may wake others for it. They sleep
// after a pause, and to wake one may take longer than a short call does alone (750 us on a virtual machine).
static bool goes_on(double work) {
    using namespace std::chrono;
    constexpr duration<double> AN_OPERATION = 0.4ns, PAUSE = 200us, LONG = 10ms;
    static thread_local time_point<steady_clock, duration<double>> begin, end;
    const time_point<steady_clock, duration<double>> now = steady_clock::now();
    if (now > end + PAUSE) begin = now;
    end = now + work * AN_OPERATION;  // about, and without help
    return now > begin + LONG;
}

int max_threads() { return forked ? 1 : std::max(1, omp_get_max_threads()); }

int threads_for(double work) {
    if (forked) return 1;
    // For each thread: where threads are awake, to hand work to one costs a few microseconds in a row of steps.
    const double least = assumed_awake || goes_on(work) ? n_rows_of_steps ? 2e4 : 2e5 : 2e6;
    return std::max(1, int(std::min(double(max_threads()), work / least)));
}

}  // namespace harmonium
