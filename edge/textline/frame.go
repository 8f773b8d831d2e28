package textline

import "bytes"

// Framing says where a line begins and ends. The zero value ends it with a line
// feed; a carriage return before that is dropped. Without Start the first line
// of a connection may be the rest of one, and is passed over.
type Framing struct {
	Start []byte // what comes before it does not belong to it; nil: the line begins behind the last End
	End   []byte // nil: a line feed
}

func (f Framing) end() []byte {
	if len(f.End) == 0 {
		return []byte("\n")
	}
	return f.End
}

// maxLine bounds a line, in bytes. What is longer is noise.
const maxLine = 4096

// framer cuts what comes into lines.
type framer struct {
	Framing
	held []byte // of the line that runs
	lost bool   // its begin is not known: wait for its end
}

func newFramer(f Framing) *framer { return &framer{Framing: f, lost: len(f.Start) == 0} }

// feed takes bytes in and hands on each line that they complete, without what
// frames it. The line is valid until emit returns. Empty lines are passed over.
func (f *framer) feed(b []byte, emit func(line []byte)) {
	end := f.end()
	for _, c := range b {
		f.held = append(f.held, c)
		if bytes.HasSuffix(f.held, end) {
			if line := f.trim(f.held[:len(f.held)-len(end)]); len(line) > 0 && !f.lost {
				emit(line)
			}
			f.held, f.lost = f.held[:0], false
		} else if len(f.held) == maxLine {
			f.held, f.lost = append(f.held[:0], f.held[maxLine-len(end):]...), true
		}
	}
}

// trim takes off what stands before the line and the carriage return behind it.
func (f *framer) trim(line []byte) []byte {
	if len(f.Start) > 0 {
		i := bytes.LastIndex(line, f.Start)
		if i < 0 {
			return nil
		}
		line = line[i+len(f.Start):]
	}
	if len(f.End) == 0 {
		line = bytes.Trim(line, "\r")
	}
	return line
}
