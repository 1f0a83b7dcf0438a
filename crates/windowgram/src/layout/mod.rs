//! (zwgc, section 9)
