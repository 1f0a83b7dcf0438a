//! Counters of the server's I/O.

use zephyr_engine::numbers;

numbers! {
    /// Counters of the I/O around the server since the start. The numbers only grow.
    IoCounters: u64 {
        /// Reloads after which new files are in use.
        reloads => "zephyrd_reloads_total" result = "done",
        /// Reloads that changed nothing because a file is broken.
        failed_reloads => "zephyrd_reloads_total" result = "failed",
        /// Log lines left out because there were too many alike.
        lines_left_out => "zephyrd_log_lines_left_out_total",
    }
}
