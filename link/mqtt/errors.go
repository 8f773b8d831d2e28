package mqtt

import "fmt"

// Reason is why a broker refused: a reason code of MQTT 5.0, section 2.4. The
// return codes of 3.1.1 are given as the ones they became.
type Reason byte

// Reasons that a caller may act on.
const (
	NoSubscriber      Reason = 0x10 // taken by the broker and dropped: nobody subscribes
	BadCredentials    Reason = 0x86
	NotAuthorized     Reason = 0x87
	ServerUnavailable Reason = 0x88
	ServerBusy        Reason = 0x89
	SessionTakenOver  Reason = 0x8e // another client connected with our id
	QuotaExceeded     Reason = 0x97
)

// RefusedError is a broker's no. What isn't one is a fault of the transport or
// of the protocol.
type RefusedError struct {
	What   string // "connect", "subscribe FILTER", "publish TOPIC", or "session" where the broker ended it
	Reason Reason
	Text   string // the broker's own words, often ""
}

// Error says what was refused and why, in one line.
func (e *RefusedError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("%s refused by the broker: %v", e.What, e.Reason)
	}
	return fmt.Sprintf("%s refused by the broker: %v (%.200q)", e.What, e.Reason, e.Text)
}

// TooLargeError is a PUBLISH that the broker would not take. The connection
// stays.
type TooLargeError struct {
	Size  int // bytes of the packet
	Limit int // bytes, the broker's Maximum Packet Size
}

// Error gives both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("publish of %d bytes exceeds the broker's maximum packet size of %d", e.Size, e.Limit)
}
