//! zwgc, the WindowGram client.
