package mqtt

import (
	"math"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Limits is what a broker said of itself in its last CONNACK. The zero value
// knows nothing: the next session starts cold. It may be kept as JSON.
type Limits struct {
	// ReceiveMaximum is how many PUBLISHes may await PUBACK; 0 where nothing is
	// known yet, 65,535 where the broker said nothing.
	ReceiveMaximum int           `json:"receive_maximum,omitempty"`
	MaxPacket      int           `json:"max_packet,omitempty"`   // bytes of a whole packet; 0 for no limit
	KeepAlive      time.Duration `json:"keep_alive,omitempty"`   // the broker's order; 0 where it left ours
	AtMostOnce     bool          `json:"at_most_once,omitempty"` // Maximum QoS 0: no PUBACK to be had
	NoRetain       bool          `json:"no_retain,omitempty"`    // Retain Available 0
	NoWildcard     bool          `json:"no_wildcard,omitempty"`  // Wildcard Subscription Available 0
	NoShared       bool          `json:"no_shared,omitempty"`    // Shared Subscription Available 0
}

// A session that knows nothing of its broker sends no more than this before
// CONNACK. 20 is the Receive Maximum of mosquitto 2.0, below that of mochi and
// EMQX; 16 kB is what TCP lets out in the first round trip (ten segments, RFC
// 6928), so that holding back the rest costs no time, and a refused CONNECT
// little money.
const (
	coldInFlight = 20
	coldBytes    = 16 << 10
)

// window returns how many PUBLISHes and payload bytes may await PUBACK.
func (l Limits) window(o Options) (count, bytes int) {
	if l.ReceiveMaximum == 0 {
		return min(o.InFlight, coldInFlight), min(o.InFlightBytes, coldBytes)
	}
	return min(o.InFlight, l.ReceiveMaximum), o.InFlightBytes
}

// forbids returns what of a session's needs the broker can't serve.
func (l Limits) forbids(filters []string) error {
	if l.AtMostOnce {
		return &RefusedError{What: "publish with QoS 1", Reason: qosNotSupported}
	}
	for _, f := range filters {
		if l.NoShared && strings.HasPrefix(f, "$share/") {
			return &RefusedError{What: "subscribe " + f, Reason: sharedNotSupported}
		}
		if l.NoWildcard && strings.ContainsAny(f, "+#") {
			return &RefusedError{What: "subscribe " + f, Reason: wildcardNotSupported}
		}
	}
	return nil
}

// limitsOf reads a CONNACK. MQTT 5.0, section 3.2.2.3.
func limitsOf(pk *packets.Packet) Limits {
	p := &pk.Properties
	return Limits{
		ReceiveMaximum: int(or(p.ReceiveMaximum, math.MaxUint16)),
		MaxPacket:      int(p.MaximumPacketSize),
		KeepAlive:      time.Duration(p.ServerKeepAlive) * time.Second,
		AtMostOnce:     p.MaximumQosFlag && p.MaximumQos == 0,
		NoRetain:       p.RetainAvailableFlag && p.RetainAvailable == 0,
		NoWildcard:     p.WildcardSubAvailableFlag && p.WildcardSubAvailable == 0,
		NoShared:       p.SharedSubAvailableFlag && p.SharedSubAvailable == 0,
	}
}
