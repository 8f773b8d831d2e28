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
// with the last request only if nothing else that was asked lately could be what
// it answers: a request without an answer may be answered late, a request may be
// answered one behind for ever, and damaged bytes may have been a request. What is in
// doubt is dropped and counted. A unit answers in the order it is asked, so an
// answer that only one request explains ends all doubt about earlier ones; and
// so does silence, since a unit answers late by no more than a second, or twice
// what its client has been seen to wait, or five seconds where a network lies
// between.
//
// So a client that asks a unit for many blocks of one length, and never pauses,
// leaves more in doubt after a fault than one that has a block of another
// length, or one block only.
//
// Three things no listener can see: a loss that leaves no more than two bytes of
// a request, an answer that comes later than said, and answers that were one
// behind before listening began.
package listen
