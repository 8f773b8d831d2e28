package mqtt

import "time"

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
