package modbus

import "fmt"

// ReportServerID asks with function code 17 what the unit is. V1.1b3, section 6.13.
func ReportServerID() PDU { return PDU{byte(FuncReportServerID)} }

// ServerID returns the bytes in the answer to function code 17: an id whose
// length is the unit's own, a byte that is FF if the unit runs and 0 if not, and
// whatever else the unit says of itself.
func ServerID(resp PDU) ([]byte, error) { return counted(FuncReportServerID, resp) }

// ObjectID numbers the objects by which a unit identifies itself: 0 to 2 are
// basic, 3 to 127 regular, the rest the unit's own. V1.1b3, section 6.21.
type ObjectID uint8

// The objects of a unit's identity that have a meaning. The first three are in
// every unit that has any.
const (
	VendorName          ObjectID = 0
	ProductCode         ObjectID = 1
	MajorMinorRevision  ObjectID = 2
	VendorURL           ObjectID = 3
	ProductName         ObjectID = 4
	ModelName           ObjectID = 5
	UserApplicationName ObjectID = 6
)

// Access says which objects are wanted.
type Access uint8

// The accesses to a unit's identity. V1.1b3, section 6.21.
const (
	BasicIdentity    Access = 1 // objects 0 to 2
	RegularIdentity  Access = 2 // and those to 127
	ExtendedIdentity Access = 3 // and the unit's own
	OneObject        Access = 4
)

// ReadIdentity asks with function code 43/14 for the objects from one on that
// an access takes in, or for that one alone.
func ReadIdentity(a Access, from ObjectID) PDU {
	return PDU{byte(FuncReadDeviceIdentity), meiDeviceIdentity, byte(a), byte(from)}
}

// Object is a part of a unit's identity.
type Object struct {
	ID    ObjectID
	Value string // ASCII for those with a meaning
}

// Identity is the answer to function code 43/14.
type Identity struct {
	Access     Access // as asked
	Conformity uint8  // 1 to 3: basic to extended; with 0x80 if objects can be asked for one by one
	More       bool   // the answer had no room for all: ask again from Next on
	Next       ObjectID
	Objects    []Object
}

// ParseIdentity reads the answer to function code 43/14:
//
//	0    1    2        3            4             5      6         7
//	43 | 14 | access | conformity | more FF or 0 | next | count n | n objects: id, length m, m bytes
func ParseIdentity(resp PDU) (Identity, error) {
	if resp.Function() != FuncReadDeviceIdentity || len(resp) < 7 || AnswerLength(resp) != len(resp) {
		return Identity{}, noAnswer(FuncReadDeviceIdentity, resp)
	}
	i := Identity{Access: Access(resp[2]), Conformity: resp[3], More: resp[4] == 0xFF, Next: ObjectID(resp[5])}
	for rest := resp[7:]; len(rest) > 0; {
		end := 2 + int(rest[1])
		i.Objects = append(i.Objects, Object{ObjectID(rest[0]), string(rest[2:end])})
		rest = rest[end:]
	}
	return i, nil
}

// Identify asks with do, which sends a request and returns its answer, for all
// objects that an access takes in, in as many requests as it takes.
func Identify(do func(req PDU) (resp PDU, err error), a Access) ([]Object, error) {
	var all []Object
	for from := ObjectID(0); ; {
		resp, err := do(ReadIdentity(a, from))
		if err != nil {
			return nil, err
		}
		part, err := ParseIdentity(resp)
		if err != nil {
			return nil, err
		}
		all = append(all, part.Objects...)
		switch {
		case !part.More:
			return all, nil
		case part.Next <= from:
			return nil, fmt.Errorf("identity: more is to follow object %d from object %d on", from, part.Next)
		}
		from = part.Next
	}
}
