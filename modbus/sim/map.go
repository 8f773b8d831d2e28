package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"skyhaul/modbus"
)

// Point is one column of a recording and the holding registers it is served
// from. Values of several registers lie most significant word first.
type Point struct {
	Tag           string
	Unit          modbus.UnitID
	Addr          uint16  // of the first register, from 0
	Type          string  // uint16, int16, uint32, int32 or float32
	Scale, Offset float64 // engineering value = raw * Scale + Offset
}

// mapEntry is a point as a map file writes it.
type mapEntry struct {
	Tag       string  `json:"tag"`
	Unit      int     `json:"unit"`    // 1 if absent
	Address   int     `json:"address"` // 40001 is the first holding register
	Registers int     `json:"registers"`
	Type      string  `json:"type"`
	Scale     float64 `json:"scale"`
	Offset    float64 `json:"offset"`
	Note      string  `json:"note"`
}

// ReadMap reads a map file: a JSON list of points with tag, unit (1 if
// absent), address (40001 is the first holding register), registers, type,
// scale (1 if absent), offset and note. Points of one unit may not overlap.
func ReadMap(r io.Reader) ([]Point, error) {
	d := json.NewDecoder(io.LimitReader(r, maxMapBytes))
	d.DisallowUnknownFields()
	var entries []mapEntry
	if err := d.Decode(&entries); err != nil {
		return nil, fmt.Errorf("map: %v", err)
	}
	points := make([]Point, len(entries))
	for i, e := range entries {
		var err error
		if points[i], err = e.point(); err != nil {
			return nil, fmt.Errorf("map: entry %d, tag %q: %v", i+1, e.Tag, err)
		}
	}
	return points, checkMap(points)
}

// maxMapBytes is ample for every register of a full line.
const maxMapBytes = 16 << 20

func (e mapEntry) point() (Point, error) {
	unit := cmp.Or(e.Unit, 1)
	t, known := types[e.Type]
	switch {
	case e.Tag == "" || e.Tag == timeColumn:
		return Point{}, fmt.Errorf("no tag")
	case unit < 1 || unit > 247:
		return Point{}, fmt.Errorf("unit %d is not 1 to 247", unit)
	case !known:
		return Point{}, fmt.Errorf("type %q is not uint16, int16, uint32, int32 or float32", e.Type)
	case e.Registers != t.registers:
		return Point{}, fmt.Errorf("%s takes %d registers, not %d", e.Type, t.registers, e.Registers)
	}
	addr, ok := holdingRegister(e.Address)
	if !ok || int(addr)+t.registers > 1<<16 {
		return Point{}, fmt.Errorf("address %d is no holding register (40001 to 49999, 400001 to 465536)", e.Address)
	}
	return Point{e.Tag, modbus.UnitID(unit), addr, e.Type, cmp.Or(e.Scale, 1), e.Offset}, nil
}

// holdingRegister converts the engineers' register number.
func holdingRegister(n int) (addr uint16, ok bool) {
	switch {
	case n >= 40001 && n <= 49999:
		return uint16(n - 40001), true
	case n >= 400001 && n <= 465536:
		return uint16(n - 400001), true
	}
	return 0, false
}

// checkMap refuses two points of one tag and two on one register.
func checkMap(points []Point) error {
	tags := make(map[string]bool)
	for _, p := range points {
		if tags[p.Tag] {
			return fmt.Errorf("map: two points with tag %q", p.Tag)
		}
		tags[p.Tag] = true
	}
	sorted := slices.SortedFunc(slices.Values(points), func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Addr, b.Addr))
	})
	for i := 1; i < len(sorted); i++ {
		p, q := sorted[i-1], sorted[i]
		if p.Unit == q.Unit && int(p.Addr)+types[p.Type].registers > int(q.Addr) {
			return fmt.Errorf("map: %q and %q share a register of unit %d", p.Tag, q.Tag, p.Unit)
		}
	}
	return nil
}
