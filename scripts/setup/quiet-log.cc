// TensorFlow logs its first lines before it reads TF_CPP_MIN_LOG_LEVEL, so every process that loads it would print that
// oneDNN is on. This applies the variable to its logger when the binding is loaded. The symbol is weak: with another
// TensorFlow than the pinned one, whose logger has another name, nothing happens.
#include <cstdlib>

extern "C" void set_min_log_level(int severity) __asm__(
    "_ZN4absl12lts_2025081414SetMinLogLevelENS0_18LogSeverityAtLeastE") __attribute__((weak));

namespace {
__attribute__((constructor)) void ApplyMinLogLevel() {
  const char* level = std::getenv("TF_CPP_MIN_LOG_LEVEL");
  if (level != nullptr && set_min_log_level != nullptr) set_min_log_level(std::atoi(level));
}
}  // namespace
