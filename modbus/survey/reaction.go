package survey

import "skyhaul/modbus"

// reaction is what came back at some settings.
type reaction struct {
	asked   int
	units   map[modbus.UnitID]bool // whose requests were followed by bytes that were no echo
	bytes   int
	echo    int // bytes
	zeroish int // bytes 00 and FF, which breaks and stuck lines make
}

// note counts what followed a request and reports whether it was anything but
// answer and echo.
func (r *reaction) note(unit modbus.UnitID, heard []byte, echo int, ok bool) bool {
	r.asked++
	r.echo += echo
	n := len(heard) - echo
	if ok || n <= 0 {
		return false
	}
	r.bytes += n
	r.units[unit] = true
	for _, b := range heard {
		if b == 0 || b == 0xFF {
			r.zeroish++
		}
	}
	return true
}

// everywhere reports whether bytes followed whatever was sent, to whomever.
func (r *reaction) everywhere() bool { return r.asked > 1 && len(r.units) > r.asked/2 }
