package modbus

import "time"

// codec is how frames lie among the bytes of a line: all that RTU and ASCII
// differ in.
type codec interface {
	// seal appends the frame of a PDU.
	seal(dst []byte, unit UnitID, p PDU) []byte
	// answer looks for the first frame that want accepts.
	answer(b []byte, want shape) sighting
	// anyAnswer finds the first intact answer of whatever unit that begins before end.
	anyAnswer(b []byte, end int) found
	// request finds the first intact request; silent tells that none of b will go on.
	request(b []byte, silent bool) found
	// open reports whether b ends inside a frame whose end is marked.
	open(b []byte) bool
	// limits returns the bytes of the longest frame, and the longest silence
	// inside one whose end is marked.
	limits() (size int, gap time.Duration)
}

// codec returns how frames lie on the connection; it is none that has MBAP headers.
func (w *wire) codec() codec {
	if w.framing == ASCII || w.framing == ASCIIOverTCP {
		return asciiCodec{}
	}
	return rtuCodec{}
}

// keep is how many bytes without an intact frame are kept, since one may still
// lie there.
const keep = 2 * maxASCII

// found is an intact frame among received bytes.
type found struct {
	start, length int // length is 0 if there is none
	unit          UnitID
	pdu           PDU // may share the memory of those bytes
}

// sighting is what a search for an answer in received bytes has seen.
type sighting struct {
	found        // the answer
	partial int  // where an unfinished one begins that is as prescribed so far; the number of bytes if there is none
	agreed  int  // how many bytes of its unit id and PDU are as prescribed
	damaged bool // one that begins the bytes is whole but for its checksum
}

// believable returns where in n bytes an unfinished answer begins that is more
// than noise; n if there is none.
func (s sighting) believable(n int) int {
	if s.agreed >= believed {
		return s.partial
	}
	return n
}

// believed is how many agreeing bytes make an unfinished answer believable: unit
// id and function alone may be noise.
const believed = 3
