package batch

import (
	"strings"

	"skyhaul/edge/point"
)

// Leaf is what a topic of a site carries.
type Leaf string

// The leaves under a site.
const (
	LeafUp    Leaf = "up"    // batches, one topic a lane
	LeafAck   Leaf = "ack"   // an Ack, retained
	LeafDown  Leaf = "down"  // a Down, retained
	LeafState Leaf = "state" // a State, retained
)

// root stands between a configured prefix, which may be empty and else ends
// with a slash, and the site id. The digit is the version of the topics.
const root = "skyhaul/1/"

// ValidSite reports whether site can be a site id: [a-z0-9-]{1,32}.
func ValidSite(site string) bool {
	return len(site) >= 1 && len(site) <= 32 && strings.Trim(site, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// UpTopic returns the topic for batches of a lane of a site.
func UpTopic(prefix, site string, lane point.Lane) string {
	return prefix + root + site + "/up/" + lane.String()
}

// AckTopic returns the topic of a site's Ack.
func AckTopic(prefix, site string) string { return prefix + root + site + "/ack" }

// DownTopic returns the topic of a site's Down.
func DownTopic(prefix, site string) string { return prefix + root + site + "/down" }

// StateTopic returns the topic of a site's State.
func StateTopic(prefix, site string) string { return prefix + root + site + "/state" }

// UpFilter matches the batches of all sites; a hub subscribes to it.
func UpFilter(prefix string) string { return prefix + root + "+/up/+" }

// StateFilter matches the states of all sites; a hub subscribes to it.
func StateFilter(prefix string) string { return prefix + root + "+/state" }

// ParseTopic takes a topic apart; lane is set for LeafUp only. ok is false for
// any name that the functions above don't make.
func ParseTopic(prefix, topic string) (site string, leaf Leaf, lane point.Lane, ok bool) {
	rest, ok := strings.CutPrefix(topic, prefix+root)
	if !ok {
		return "", "", 0, false
	}
	site, rest, _ = strings.Cut(rest, "/")
	if name, up := strings.CutPrefix(rest, "up/"); up {
		lane, ok = point.ParseLane(name)
		return site, LeafUp, lane, ok && ValidSite(site)
	}
	switch leaf = Leaf(rest); leaf {
	case LeafAck, LeafDown, LeafState:
		return site, leaf, 0, ValidSite(site)
	}
	return "", "", 0, false
}
