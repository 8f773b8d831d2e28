package modbus

import (
	"cmp"
	"slices"
	"sync"
)

// UnitIdentity is the part of a unit that answers functions 17 and 43/14. The
// zero value has neither a server id nor objects; then they get exception 01.
// Safe for concurrent use.
type UnitIdentity struct {
	mu      sync.Mutex // guards the rest
	id      []byte     // of function 17, whole
	objects []Object   // by id
}

// SetServerID sets what function 17 answers: at most 250 bytes of id and
// additional bytes together, the rest being cut.
func (u *UnitIdentity) SetServerID(id []byte, runs bool, additional ...byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	running := byte(0)
	if runs {
		running = 0xFF
	}
	u.id = append(append(slices.Clone(id), running), additional...)
	u.id = u.id[:min(len(u.id), MaxPDU-2)]
}

// maxObject is the length of the longest object that a PDU holds: V1.1b3, section 6.21.
const maxObject = MaxPDU - 7 - 2

// SetObjects sets what function 43/14 answers. A value longer than 244 bytes is cut.
func (u *UnitIdentity) SetObjects(objects ...Object) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.objects = slices.Clone(objects)
	slices.SortFunc(u.objects, func(a, b Object) int { return cmp.Compare(a.ID, b.ID) })
	for i := range u.objects {
		o := &u.objects[i]
		o.Value = o.Value[:min(len(o.Value), maxObject)]
	}
}

// answer answers a request of function 17 or 43/14 that parses.
func (u *UnitIdentity) answer(req PDU) (PDU, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case req.Function() == FuncReportServerID && u.id != nil:
		return append(PDU{req[0], byte(len(u.id))}, u.id...), nil
	case req.Function() == FuncReadDeviceIdentity && len(u.objects) > 0:
		return u.identify(Access(req[2]), ObjectID(req[3]))
	}
	return nil, IllegalFunction
}

// last returns the greatest object of an access or a category.
func (a Access) last() ObjectID {
	switch a {
	case BasicIdentity:
		return MajorMinorRevision
	case RegularIdentity:
		return 0x7F
	}
	return 0xFF
}

// conformity returns what a unit with these objects conforms to.
func (u *UnitIdentity) conformity() byte {
	const oneByOne = 0x80
	greatest := u.objects[len(u.objects)-1].ID
	a := BasicIdentity
	for greatest > a.last() {
		a++
	}
	return oneByOne | byte(a)
}

// identify puts an answer of function 43/14 together.
func (u *UnitIdentity) identify(a Access, from ObjectID) (PDU, error) {
	start, found := slices.BinarySearchFunc(u.objects, from, func(o Object, id ObjectID) int { return cmp.Compare(o.ID, id) })
	end := len(u.objects)
	switch {
	case a == OneObject && !found:
		return nil, IllegalDataAddress
	case a == OneObject:
		end = start + 1
	case !found:
		start = 0 // V1.1b3, section 6.21: begin at the beginning
	}
	p := PDU{byte(FuncReadDeviceIdentity), meiDeviceIdentity, byte(a), u.conformity(), 0, 0, 0}
	for _, o := range u.objects[start:end] {
		if o.ID > a.last() {
			break
		}
		if len(p)+2+len(o.Value) > MaxPDU {
			p[4], p[5] = 0xFF, byte(o.ID) // more follows
			break
		}
		p = append(append(p, byte(o.ID), byte(len(o.Value))), o.Value...)
		p[6]++
	}
	return p, nil
}
