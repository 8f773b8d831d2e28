// Package edge puts the appliance together: lines and endpoints are scanned,
// readings kept, windows used. What it owns is the wiring, the policy on
// failure and the order of stopping.
//
// # When something fails
//
//	what                       then
//	port missing, unit dead    its points are bad with the reason; everything else goes on; tried again
//	block of registers refused its own points are bad; the rest of the unit is read around it
//	store can't write          readings stay in RAM up to 8 MiB, then take numbers and become a declared gap; tried each second
//	buffer full                delivered readings go first; of lanes history and trend the oldest give way to summaries in lane trend, see [buffer] when_full
//	summaries can't be kept    the readings stay; the store drops the oldest when it must, as a declared gap
//	store damaged              what is hit becomes a declared gap; damaged files are set aside and named on the page
//	broker, DNS, hub           buffered; tried again while the window is open, with pauses that grow
//	ledger can't be written    the link is used on and counted in RAM; the page says so
//	status address in use      the page is missing there, the log and the other pages say so; tried again
//	ledger or boots damaged    what can't be read begins anew; the log and the page name it
//	clock steps                a note; order rests on sequence and boottime, so nothing moves
//	schema can't be kept       the daemon does not start: readings nobody can name are no readings
//	configuration wrong        the daemon does not start, exit 78, and systemd leaves it at that
//
// A state that lasts is one line in the log when it begins, one when it ends,
// and a sentence on the page in between.
//
// # Stopping
//
//	1  scanners and thinning, then nothing new comes; a pass cut short makes no record; what rules
//	   and summaries held back is recorded. A crash costs it: the summary that runs, and of a
//	   swinging door what came after the last reading recorded
//	2  the last sync, at most 5 s, not cut short by the stop itself
//	3  the uplink: DISCONNECT without waiting for acknowledgements
//	4  the store's own work, then Close
package edge
