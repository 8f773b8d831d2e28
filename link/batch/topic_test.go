package batch_test

import (
	"testing"

	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

func TestTopicsAreTakenApartAsTheyWereMade(t *testing.T) {
	for _, prefix := range []string{"", "plant/north/"} {
		for topic, want := range map[string]struct {
			leaf batch.Leaf
			lane point.Lane
		}{
			batch.UpTopic(prefix, "well-7", point.Custody): {batch.LeafUp, point.Custody},
			batch.AckTopic(prefix, "well-7"):               {batch.LeafAck, 0},
			batch.DownTopic(prefix, "well-7"):              {batch.LeafDown, 0},
			batch.StateTopic(prefix, "well-7"):             {batch.LeafState, 0},
		} {
			site, leaf, lane, ok := batch.ParseTopic(prefix, topic)
			if site != "well-7" || leaf != want.leaf || lane != want.lane || !ok {
				t.Errorf("%s: %q %q %v %v", topic, site, leaf, lane, ok)
			}
		}
	}
	if got, want := batch.UpTopic("p/", "a", point.History), "p/skyhaul/1/a/up/history"; got != want {
		t.Errorf("topic %s, want %s", got, want)
	}
	if got, want := batch.UpFilter("p/"), "p/skyhaul/1/+/up/+"; got != want {
		t.Errorf("filter %s, want %s", got, want)
	}
	if got, want := batch.StateFilter(""), "skyhaul/1/+/state"; got != want {
		t.Errorf("filter %s, want %s", got, want)
	}
}

func TestForeignTopicsAreRefused(t *testing.T) {
	for _, topic := range []string{
		"", "skyhaul/1/", "skyhaul/1/a", "skyhaul/1/a/", "skyhaul/2/a/ack", "skyhaul/1/A/ack", "skyhaul/1//ack", "skyhaul/1/a/up",
		"skyhaul/1/a/up/", "skyhaul/1/a/up/later", "skyhaul/1/a/up/history/x", "skyhaul/1/a/ack/x", "skyhaul/1/a/other", "x/skyhaul/1/a/ack",
		"skyhaul/1/123456789012345678901234567890123/ack",
	} {
		if site, leaf, lane, ok := batch.ParseTopic("", topic); ok {
			t.Errorf("%q: %q %q %v", topic, site, leaf, lane)
		}
	}
}

func TestSiteIDs(t *testing.T) {
	for site, want := range map[string]bool{
		"a": true, "well-7": true, "-": true, "12345678901234567890123456789012": true,
		"": false, "123456789012345678901234567890123": false, "Well": false, "a b": false, "a/b": false, "+": false, "ä": false, "a.b": false, "a-B-c": false,
	} {
		if got := batch.ValidSite(site); got != want {
			t.Errorf("%q: %v, want %v", site, got, want)
		}
	}
}
