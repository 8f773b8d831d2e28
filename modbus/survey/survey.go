// Package survey finds out what is on a line or behind an endpoint, and what is
// wrong with it: which settings and units answer, what registers may mean,
// what a unit says of itself.
//
// It works on any connection and prints nothing; commands turn its findings
// into text.
package survey

import (
	"context"

	"skyhaul/modbus"
)

// Ask sends a request to a unit and returns its answer, an exception as a
// [modbus.Exception].
type Ask func(ctx context.Context, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error)
