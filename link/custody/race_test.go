//go:build race

package custody_test

// The race detector makes a seed five times as slow.
const defaultSeeds = 5
