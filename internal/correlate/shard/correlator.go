package shard

// Portion is the number of events that are decoded and played together:
// enough to keep all cores busy, few enough that time and requests pass in
// between.
const Portion = 1024
