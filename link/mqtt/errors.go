package mqtt

import (
	"errors"
	"fmt"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Reason is why a broker refused: a reason code of MQTT 5.0, section 2.4. The
// return codes of 3.1.1 are given as the ones they became.
type Reason byte

// Reasons that a caller may act on.
const (
	NoSubscriber      Reason = 0x10 // taken by the broker and dropped: nobody subscribes
	BadCredentials    Reason = 0x86
	NotAuthorized     Reason = 0x87
	ServerUnavailable Reason = 0x88

	unspecified          Reason = 0x80 // the first that is a failure
	malformedPacket      Reason = 0x81
	protocolViolation    Reason = 0x82
	unsupportedVersion   Reason = 0x84
	badClientID          Reason = 0x85
	packetTooLarge       Reason = 0x95
	retainNotSupported   Reason = 0x9a
	qosNotSupported      Reason = 0x9b
	sharedNotSupported   Reason = 0x9e
	wildcardNotSupported Reason = 0xa2
)

// returnCodes are the refusals of 3.1.1, section 3.2.2.3.
var returnCodes = map[byte]Reason{
	1: unsupportedVersion, 2: badClientID, 3: ServerUnavailable, 4: BadCredentials, 5: NotAuthorized,
}

// reasonTexts holds the sentences of MQTT 5.0, table 2-6.
var reasonTexts = func() map[Reason]string {
	m := map[Reason]string{0: "no reason given"}
	for _, c := range []packets.Code{
		packets.CodeNoMatchingSubscribers, packets.ErrUnspecifiedError, packets.ErrMalformedPacket,
		packets.ErrProtocolViolation, packets.ErrImplementationSpecificError, packets.ErrUnsupportedProtocolVersion,
		packets.ErrClientIdentifierNotValid, packets.ErrBadUsernameOrPassword, packets.ErrNotAuthorized,
		packets.ErrServerUnavailable, packets.ErrServerBusy, packets.ErrBanned, packets.ErrServerShuttingDown,
		packets.ErrBadAuthenticationMethod, packets.ErrKeepAliveTimeout, packets.ErrSessionTakenOver,
		packets.ErrTopicFilterInvalid, packets.ErrTopicNameInvalid, packets.ErrPacketIdentifierInUse,
		packets.ErrReceiveMaximum, packets.ErrTopicAliasInvalid, packets.ErrPacketTooLarge,
		packets.ErrMessageRateTooHigh, packets.ErrQuotaExceeded, packets.ErrAdministrativeAction,
		packets.ErrPayloadFormatInvalid, packets.ErrRetainNotSupported, packets.ErrQosNotSupported,
		packets.ErrUseAnotherServer, packets.ErrServerMoved, packets.ErrSharedSubscriptionsNotSupported,
		packets.ErrConnectionRateExceeded, packets.ErrMaxConnectTime,
		packets.ErrSubscriptionIdentifiersNotSupported, packets.ErrWildcardSubscriptionsNotSupported,
	} {
		m[Reason(c.Code)] = c.Reason
	}
	return m
}()

// String returns the standard's sentence and the code.
func (r Reason) String() string {
	if text, ok := reasonTexts[r]; ok {
		return fmt.Sprintf("%s (0x%02x)", text, byte(r))
	}
	return fmt.Sprintf("reason 0x%02x", byte(r))
}

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
	return fmt.Sprintf("%s refused by the broker: %v: %.200q", e.What, e.Reason, e.Text)
}

// Refused tells a broker's no from a broken link to callers that don't import
// this package.
func (e *RefusedError) Refused() {}

// TooLargeError is a PUBLISH that the broker does not take. The connection
// stays.
type TooLargeError struct {
	Size  int // bytes of the packet
	Limit int // bytes, the broker's Maximum Packet Size
}

// Error gives both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("publish of %d bytes exceeds the broker's maximum packet size of %d", e.Size, e.Limit)
}

// TooLarge gives both sizes to callers that don't import this package.
func (e *TooLargeError) TooLarge() (size, limit int) { return e.Size, e.Limit }

// protocolError is a broker's breach of the protocol. MQTT 5 tells it why we
// leave.
type protocolError struct {
	reason Reason
	text   string
}

func (e *protocolError) Error() string { return "broker breaks the protocol: " + e.text }

func violation(r Reason, format string, args ...any) error {
	return &protocolError{reason: r, text: fmt.Sprintf(format, args...)}
}

// receiveError marks an error as the caller's own: the connection is in order
// and ends with DISCONNECT.
type receiveError struct{ error }

// errEnded is for those whose PUBACK no longer comes.
var errEnded = errors.New("mqtt session ended")
