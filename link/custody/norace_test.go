//go:build !race

package custody_test

const defaultSeeds = 20
