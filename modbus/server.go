package modbus

import "context"

// Broadcast is the unit id that all units of a line obey and none answers.
// Serial, section 2.2.
const Broadcast UnitID = 0

// Handler answers requests. With ok false the server stays silent, as for a
// unit that is not there. It may keep req only while the call lasts.
type Handler interface {
	Handle(unit UnitID, req PDU) (resp PDU, ok bool)
}

// Serve answers the requests that arrive on c until ctx ends or the peer hangs
// up (nil), or the connection fails. It does not close c.
func Serve(ctx context.Context, c Conn, f Framing, t LineTiming, h Handler) error {
	<-ctx.Done()
	return nil
}
