package modbus

import (
	"encoding/binary"
	"fmt"
)

// FileSpan is a run of registers in a file. V1.1b3, section 6.14.
type FileSpan struct {
	File     uint16 // from 1 on
	Record   uint16 // of the first register, at most 9999
	Quantity int    // registers, at least 1
}

// FileRecord is a run of registers in a file with what they hold.
type FileRecord struct {
	File, Record uint16
	Registers    []uint16
}

func (r FileRecord) span() FileSpan { return FileSpan{r.File, r.Record, len(r.Registers)} }

// The limits of files. V1.1b3, sections 6.14 and 6.15.
const (
	fileReference = 6 // reference type
	lastRecord    = 9999
	maxReadFile   = 245 // bytes that follow the count in a request to read, or its answer
	maxWriteFile  = 251 // likewise for a write
	spanSize      = 7   // bytes of a span in a request: type, file, record, quantity
)

// check refuses what no file can have.
func (s FileSpan) check() error {
	if s.File == 0 || s.Quantity < 1 || int(s.Record)+s.Quantity-1 > lastRecord {
		return IllegalDataAddress
	}
	return nil
}

// appendSpan appends what a request says of a span:
//
//	0          1    2 3      4 5        6
//	type = 6 | file | record | quantity
func appendSpan(p PDU, s FileSpan) PDU {
	p = append(p, fileReference)
	p = binary.BigEndian.AppendUint16(p, s.File)
	p = binary.BigEndian.AppendUint16(p, s.Record)
	return binary.BigEndian.AppendUint16(p, uint16(s.Quantity))
}

func parseSpan(b []byte) (FileSpan, error) {
	s := FileSpan{binary.BigEndian.Uint16(b[1:]), binary.BigEndian.Uint16(b[3:]), int(binary.BigEndian.Uint16(b[5:]))}
	if b[0] != fileReference {
		return s, IllegalDataAddress
	}
	return s, s.check()
}

// ReadFileRecords asks with function code 20 for spans of files, whose answer
// takes 2 bytes and 2 a register for each and 245 at most.
func ReadFileRecords(spans ...FileSpan) (PDU, error) {
	p := PDU{byte(FuncReadFileRecords), byte(spanSize * len(spans))}
	for _, s := range spans {
		p = appendSpan(p, s)
	}
	if len(p) > 2+maxReadFile {
		return nil, fmt.Errorf("function %d: %d spans are too many", FuncReadFileRecords, len(spans))
	}
	if _, err := parseSpans(p); err != nil {
		return nil, fmt.Errorf("function %d: no request can be for %+v", FuncReadFileRecords, spans)
	}
	return p, nil
}

// parseSpans reads a request of function 20. The error is an [Exception].
func parseSpans(req PDU) ([]FileSpan, error) {
	b, err := counted(FuncReadFileRecords, req)
	if err != nil || len(b) == 0 || len(b)%spanSize != 0 || len(b) > maxReadFile {
		return nil, IllegalDataValue
	}
	var spans []FileSpan
	for ; len(b) > 0; b = b[spanSize:] {
		s, err := parseSpan(b)
		if err != nil {
			return nil, err
		}
		spans = append(spans, s)
	}
	if fileAnswer(spans) > maxReadFile {
		return nil, IllegalDataValue
	}
	return spans, nil
}

// fileAnswer returns how many bytes follow the count in the answer to a read.
func fileAnswer(spans []FileSpan) (n int) {
	for _, s := range spans {
		n += 2 + 2*s.Quantity
	}
	return n
}

// fileHead returns the length that goes before what was read of a span.
func fileHead(s FileSpan) byte { return byte(1 + 2*s.Quantity) }

// FileRegisters returns the registers of each span in the answer to function
// code 20:
//
//	0    1             2             3          4
//	20 | byte count n | length 1+2m | type = 6 | m registers, and so on
func FileRegisters(resp PDU) ([][]uint16, error) {
	b, err := counted(FuncReadFileRecords, resp)
	if err != nil {
		return nil, err
	}
	var all [][]uint16
	for len(b) > 0 {
		end := 1 + int(b[0])
		if end < 2 || end%2 != 0 || end > len(b) || b[1] != fileReference {
			return nil, noAnswer(FuncReadFileRecords, resp)
		}
		all = append(all, words(b[2:end]))
		b = b[end:]
	}
	return all, nil
}

// WriteFileRecords sets registers of files with function code 21. The records
// take 7 bytes and 2 a register each and 251 at most. V1.1b3, section 6.15.
func WriteFileRecords(records ...FileRecord) (PDU, error) {
	p := PDU{byte(FuncWriteFileRecords), 0}
	for _, r := range records {
		p = appendRegisters(appendSpan(p, r.span()), r.Registers)
	}
	if len(p) > 2+maxWriteFile {
		return nil, fmt.Errorf("function %d: %d bytes of records are too many", FuncWriteFileRecords, len(p)-2)
	}
	p[1] = byte(len(p) - 2)
	if _, err := parseRecords(p); err != nil {
		return nil, fmt.Errorf("function %d: no request can set %+v", FuncWriteFileRecords, records)
	}
	return p, nil
}

// parseRecords reads a request of function 21. The error is an [Exception].
func parseRecords(req PDU) ([]FileRecord, error) {
	b, err := counted(FuncWriteFileRecords, req)
	if err != nil || len(b) == 0 || len(b) > maxWriteFile {
		return nil, IllegalDataValue
	}
	var records []FileRecord
	for len(b) > 0 {
		if len(b) < spanSize {
			return nil, IllegalDataValue
		}
		s, err := parseSpan(b)
		end := spanSize + 2*s.Quantity
		switch {
		case end > len(b):
			return nil, IllegalDataValue
		case err != nil:
			return nil, err
		}
		records = append(records, FileRecord{s.File, s.Record, words(b[spanSize:end])})
		b = b[end:]
	}
	return records, nil
}

// ReadQueue asks with function code 24 for the queue of registers at addr and
// leaves it as it is. V1.1b3, section 6.18.
func ReadQueue(addr uint16) PDU {
	return binary.BigEndian.AppendUint16(PDU{byte(FuncReadQueue)}, addr)
}

// maxQueue is how many registers of a queue can be read. V1.1b3, section 6.18.
const maxQueue = 31

// Queue returns the registers in the answer to function code 24, the oldest
// first and at most 31:
//
//	0    1           2 3           4
//	24 | byte count | registers n | n registers
func Queue(resp PDU) ([]uint16, error) {
	if resp.Function() != FuncReadQueue || len(resp) < 5 {
		return nil, noAnswer(FuncReadQueue, resp)
	}
	size, n := int(binary.BigEndian.Uint16(resp[1:])), int(binary.BigEndian.Uint16(resp[3:]))
	if n > maxQueue || size != 2+2*n || len(resp) != 3+size {
		return nil, noAnswer(FuncReadQueue, resp)
	}
	return words(resp[5:]), nil
}
