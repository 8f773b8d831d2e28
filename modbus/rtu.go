package modbus

import "time"

// rtuCodec finds frames by their length and CRC. Silence plays no part: an
// operating system can't time 1.75 ms.
type rtuCodec struct{}

func (rtuCodec) seal(dst []byte, unit UnitID, p PDU) []byte { return appendRTU(dst, unit, p) }

func (rtuCodec) open([]byte) bool { return false }

func (rtuCodec) limits() (size int, gap time.Duration) { return maxRTU, 0 }

// answer slides over b and finds the first place where unit, function, the
// length the request prescribes and the CRC all agree.
func (rtuCodec) answer(b []byte, want shape) (s sighting) {
	s.partial = len(b)
	for i := range b {
		length, agreed := want.agree(b[i:])
		switch {
		case agreed == 0:
		case len(b)-i < length:
			if agreed > s.agreed {
				s.partial, s.agreed = i, agreed
			}
		case intact(b[i:i+length]) && want.accepts(b[i+1:i+length-2]):
			s.found = foundRTU(b, i, length)
			return s
		case agreed >= believed && i <= strayBytes:
			s.damaged = true
		}
	}
	return s
}

func foundRTU(b []byte, start, length int) found {
	return found{start, length, UnitID(b[start]), PDU(b[start+1 : start+length-2])}
}

func (rtuCodec) anyAnswer(b []byte, end int) found {
	for i := range end {
		n := answerLength(b[i:])
		if n > 0 && n <= len(b)-i && intact(b[i:i+n]) {
			return foundRTU(b, i, n)
		}
	}
	return found{}
}

// request finds one of a function whose length is known. Where the line fell
// silent behind b, that may be one of an unknown function as well, whose length
// only the silence tells.
func (rtuCodec) request(b []byte, silent bool) found {
	if start, length := findRequest(b); length > 0 {
		return foundRTU(b, start, length)
	}
	if silent && intact(b) && b[0] <= lastUnit && maxQuantity(FunctionCode(b[1])) == 0 {
		return foundRTU(b, 0, len(b))
	}
	return found{}
}

// answerLength returns the length of the answer that b begins with, unit id
// and CRC included; 0 if it can't be told.
func answerLength(b []byte) int {
	if len(b) < 3 {
		return 0
	}
	fc := FunctionCode(b[1])
	switch {
	case fc&exceptionBit != 0:
		return exceptionRTU
	case fc.Reads():
		return 3 + int(b[2]) + 2
	case maxQuantity(fc) > 0:
		return 1 + 5 + 2
	}
	return 0
}
