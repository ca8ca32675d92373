//! Measures of text-to-image models: KID, R-precision, obedience to captions, pair distance.
