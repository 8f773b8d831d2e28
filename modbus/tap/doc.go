// Package tap records what passes on a Modbus connection, with times, and plays
// it again: a capture is the bug report that a test can run.
//
// # The text form
//
// A capture is UTF-8 text for people and programs. Its first line is "skyhaul
// tap 1". Header lines follow, each a key, a colon and a value, up to an empty
// line; what is not known is left out:
//
//	skyhaul tap 1
//	begun: 2026-11-23T00:40:00.125Z
//	source: /dev/ttyUSB0
//	framing: rtu
//	baud: 9600
//	character: 8E1
//
//	0.000000 > 01 03 00 64 00 02 85 D4
//	0.025104 < 01 03 04 41 BC 00 00 2F EB
//
// Then each line is one chunk: the time since begun at which the call that
// carried it ended (received) or began (sent), in seconds with six decimals and
// never falling; ">" for bytes that this end sent, "<" for bytes that it
// received; the bytes in hex. A passive capture has received chunks only. How a
// stream is cut into chunks is the operating system's doing and means nothing.
// A line that begins with "#" is a remark. Times are monotonic: a clock that is
// set meanwhile does not show.
//
// A reader refuses keys that it does not know: they may change what the bytes
// mean. It takes chunks of up to 4096 bytes and header values of up to 256.
package tap
