package batch

import "encoding/binary"

// Name returns the name of the chain after a payload of level B, see Chain.Name.
// It is 0 for one that is too short to have any.
func Name(p []byte) uint32 {
	if len(p) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(p[len(p)-4:])
}
