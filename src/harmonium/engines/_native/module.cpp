// The Python face of the native engine: arrays in, arrays out, no mathematics. Its parts stand in bind_*.cpp; here is what
// concerns the process, its instruction set and its forks.
#include <nanobind/stl/string.h>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include <string>

#include "arrays.hpp"

namespace harmonium {

const Kernels* chosen = find_kernels(nullptr);

}  // namespace harmonium

using namespace harmonium;

NB_MODULE(_kernels, m) {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork([] { pool().lock(), lock_packing(); }, [] { unlock_packing(), pool().unlock(); },
                   [] {
                       unlock_packing(), pool().unlock();
                       stay_on_one_thread();
                   });
#endif
    bind_machine(m);
    bind_rows(m);
    bind_functions(m);

    m.def("use", [](const std::string& name) {
        const Kernels* kernels = find_kernels(name.c_str());
        require(kernels, "this processor does not run that instruction set");
        chosen = kernels;
    });
    m.def("instruction_sets", [] {
        nb::list names;
        for (const char* name : {"amx", "avx512", "avx2", "portable"})
            if (find_kernels(name)) names.append(name);
        return names;
    });
    m.def("instruction_set", [] { return chosen->name; });
    m.def("assume_awake", assume_awake);
    m.def("max_threads", max_threads);
}
