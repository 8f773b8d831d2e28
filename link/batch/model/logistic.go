package model

// A probability is 16 bits; its logit, ln(p/(1-p)), is in 1/256 and cut off at
// ±2047. squashed and stretched turn one into the other.
var squashed, stretched = tables()

func tables() (squashed [4096]uint16, stretched [4096]int16) {
	const step = 4278222805 // e^(-1/256) in 2^-32
	e := uint64(1 << 30)    // e^(-i/256) in 2^-30
	for i := range 2048 {
		p := uint64(1) << 46 / (1<<30 + e)
		squashed[2048+i] = uint16(p)
		squashed[2048-i] = uint16(1<<16 - p)
		e = e * step >> 32
	}
	squashed[0] = squashed[1]
	x := 0
	for p := range stretched {
		for x < 4095 && int(squashed[x]) < p*16+8 {
			x++
		}
		stretched[p] = int16(min(max(x-2048, -2047), 2047))
	}
	return squashed, stretched
}
