package point

import (
	"fmt"
	"math"
	"time"
)

// Method says in which way readings are left out of the records. The values are
// part of the schema's canonical form.
type Method uint8

// The methods of a rule.
const (
	EveryReading Method = iota // none: each is recorded
	OnChange                   // recorded when raw bits or quality change
	Deadband                   // recorded when further than Error from the last recorded, or of another quality
	SwingingDoor               // recorded where straight lines between the recorded would be off by more than Error
)

var methodNames = [...]string{"", "change", "deadband", "swinging door"}

// String returns the name used at the centre, such as "deadband"; empty for
// EveryReading.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return fmt.Sprintf("method(%d)", uint8(m))
}

// Rule says which readings of a point are recorded; the others are told by the
// recorded ones of the same boot and epoch, none of them off by more than Error
// as engineering value, but for the rounding of a float64. A recorded reading
// holds until the next one. Only with SwingingDoor those between two good ones
// lie on the straight line over boottime, and nothing is told of what came after
// the last of an epoch. The zero value records every reading.
type Rule struct {
	Method Method
	Error  float64 // in engineering units; positive with Deadband and SwingingDoor, else 0
	// Silence is how long a point may go without a record: the first scan after
	// it is recorded. Whole milliseconds, positive but with EveryReading.
	Silence time.Duration
}

func (u Rule) valid() bool {
	switch u.Method {
	case EveryReading:
		return u == Rule{} && !math.Signbit(u.Error)
	case OnChange:
		return u.Error == 0 && !math.Signbit(u.Error) && u.Silence > 0
	case Deadband, SwingingDoor:
		return u.Error > 0 && !math.IsInf(u.Error, 0) && u.Silence > 0
	}
	return false
}
