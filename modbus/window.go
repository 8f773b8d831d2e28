package modbus

// sighting is what a search for an answer in received bytes has seen.
type sighting struct {
	start, length int  // the answer; length is 0 if there is none
	partial       int  // where an unfinished one begins that is as prescribed so far; the number of bytes if there is none
	agreed        int  // how many bytes of it are as prescribed
	damaged       bool // one that begins the bytes is whole but for its checksum
}

// believable returns where in n bytes an unfinished answer begins that is more
// than noise; n if there is none.
func (s sighting) believable(n int) int {
	if s.agreed >= headRTU {
		return s.partial
	}
	return n
}

// headRTU is how many agreeing bytes make an unfinished answer believable: unit
// id and function alone may be noise.
const headRTU = 3

// search slides over b and finds the first place where unit, function, the
// length the request prescribes and the CRC all agree. Silence plays no part:
// an operating system can't time 1.75 ms.
func search(b []byte, want shape) (s sighting) {
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
			s.start, s.length = i, length
			return s
		case agreed >= headRTU && i <= strayBytes:
			s.damaged = true
		}
	}
	return s
}

// anyAnswer finds the first intact answer of whatever unit that begins before
// end; length is 0 if there is none.
func anyAnswer(b []byte, end int) (start, length int) {
	for i := range end {
		n := answerLength(b[i:])
		if n > 0 && n <= len(b)-i && intact(b[i:i+n]) {
			return i, n
		}
	}
	return 0, 0
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
