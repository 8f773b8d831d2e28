// Package listen takes part in a line that another client owns without ever
// sending a byte: it finds the frames among the bytes it overhears, tells
// requests from answers, and says which answer belongs to which request.
//
// RTU marks neither frames nor directions, and silence can't be trusted: an
// operating system doesn't time 1.75 ms, and a device server on the network
// passes bytes on without their pauses. So frames are found by length and CRC
// wherever they begin; silence of 150 ms and more only ends what can't go on.
//
// An answer names neither its request nor the addresses it carries. It is paired
// with the last request only if no other request of the last five seconds could
// be the one it answers, heard or unheard: a request without an answer may be
// answered late, and damaged bytes may have been a request. What is in doubt is
// dropped and counted. A unit answers in the order it is asked, so an answer
// that only one request explains ends all doubt about earlier ones. Two things
// no listener can see: a loss that swallows whole frames and leaves no trace of
// them, and answers that are held for more than five seconds.
package listen
