// Package batch is the wire format: it turns runs of records of one lane into
// batches and back, packs chunks of the buffer with the same body, and holds
// the documents and topics that go between a site and its hub.
//
// An [Encoder] makes batches for one destination, a [Decoder] reads them. A
// batch of level A needs nothing of an earlier one but the schemas that it
// carried. One of level B leans on a [Chain]: what both ends have learnt from the
// batches before. What comes out is byte for byte what went in. This page is the
// specification of the format. Golden files in testdata hold it still, and
// decoder.py beside them, which reads batches and chunks, was written from it
// and from the page of package model; golden/explained.hex tells what each byte
// of a batch is, explained-chain.hex how a chain begins.
//
// # Numbers
//
// A uvarint has 7 bits a byte, the lowest first, the top bit set in all bytes
// but the last, and at most 64 bits. A varint is the uvarint of a number n that
// became 2n, or -2n-1 if n is negative ("zigzag"). Other numbers are big endian;
// what RFC 8878 has is little endian, as there. Arithmetic on sequence numbers
// and values is modulo 2^64.
//
// # Schemas and records
//
// What a batch stands for is fixed elsewhere, by the comments of these:
//
//	point.Lane            lanes, 1 to 6
//	bufferstore.Reason    why a gap was lost, 1 to 6; a record has 0
//	point.Schema.Append   the canonical form of a schema
//	point.SchemaID        its id: the first 8 bytes of the SHA-256 of that
//	point.Type, its Size  the types of columns, 1 to 9, and the bytes of their values
//	point.Scan.Append     the canonical form of a scan record, with its stamp
//	point.Quality         a quality: status<<6 | reason; HasValue says which have a value
//
// A form is canonical if its numbers are in the fewest bytes and its runs of
// qualities as long as can be; those cover all columns, and there is none where
// all are good. Records that are not scans are bytes to this package.
//
// # Batch
//
//	first byte u8  0x10: version 1 in the upper half, level A = 0 in the lower
//	flags u8       lane in bits 0 to 2 | 8 opening follows | 16 schemas follow
//	epoch 8
//	first uvarint  sequence number of the first record
//	acked varint   first - acked
//	[opening: parent epoch 8 | first - first of the epoch uvarint]
//	[schemas section]
//	body
//	CRC-32C u32
//
// Another version or level, or a flag not named here, is from a program newer
// than the reader and is told apart from a corrupt payload.
//
// The schemas section holds the canonical forms (package point) of the schemas
// that the batch carries, one after the other. A schema goes in full until an
// ack covers a batch that carried it. So does the opening of an epoch.
//
// The checksum is over what the batch means, not over its bytes:
//
//	0x10 | lane u8 | epoch 8 | first u64 | acked u64 | 0, or 1 and parent 8 and first of the epoch u64
//	the content of the schemas section
//	each record or gap: epoch 8 | first u64 | last u64 | reason u8 | length u32 | bytes
//
// # Section
//
//	length and method uvarint: length<<3 | method
//	size uvarint: of the content; absent for method 0
//	length bytes
//
//	0 stored    the content itself
//	1 repeated  one byte, which repeats
//	2 Huffman   a tree description (RFC 8878 section 4.2.1) and one stream (section 4.2.2)
//	3 FSE       a table description (RFC 8878 section 4.1.1; accuracy up to 12) and a stream of two
//	            interleaved states, as section 4.2.1.2 has it for weights
//	4 zstd      the blocks of a zstd frame (RFC 8878 section 3.1.1.2); the frame header, which is left
//	            out, is that of a single segment of known size without checksum and dictionary
//
// A section that isn't stored has a size over 0, and its bytes make that size
// exactly. The sizes of all of these in a payload are at most 16 MiB together.
// The schemas section is at most 4 MiB. Nothing is left over in a section.
//
// # Body
//
//	groups uvarint | { place uvarint | [schema id 8] }*
//	order section
//	[quality, modes, exponents, numbers sections | pools u8 | [assignment section | a section each pool | bits section]]
//	[lengths section | bytes section]
//
// A group is the scans of one schema; there are at most 1024. Its place is that
// of the schema among those that the payload carries: 1, then 2 and so on, in
// the groups that have one; 0 and the id name a schema that the reader knows. The
// third line is there if there are groups, its inner part if there are pools;
// the fourth if there are opaque records.
//
// The order section says what comes next until it ends:
//
//	{ 0 | numbers uvarint | reason u8 }  a gap of so many sequence numbers, 1 or more
//	{ 1 uvarint | n uvarint }            n opaque records: the next lengths (uvarints) and bytes
//	{ 2+g uvarint | n uvarint }          n scans of group g
//
// Records, and each gap, count as one towards 65,536 of a payload; records
// come to 16 MiB together at most. A scan that is not in its canonical form,
// or of a schema that isn't known, is opaque.
//
// # Scans
//
// The quality section has, one group after the other, the runs of columns
// whose quality differs from that in the scan before, and from good in the
// first scan:
//
//	runs uvarint | { scans since the run before uvarint | columns skipped uvarint | columns uvarint | quality u8 }*
//
// Scans count from the first one for the first run of a group. Columns skipped
// count from the end of the run before if that is in the same scan, else from the
// first column. A run has a column at least.
//
// The scans of a group are cut into pages of 1024. A page has 5 columns for
// the stamps, then those of the schema. The stamp columns are unsigned 64-bit
// numbers: time quality, bound exponent, boot, boottime in ms, and wall time in
// ms less that boottime. The other columns have the type of the schema. Cells
// whose quality has no value (point.Quality.HasValue) are left out and are
// zero, unless the mode says whole.
//
// Each column page has a mode, the next byte of the modes section:
//
//	bits 0-1  transform: 0 constant, 1 centred, 2 delta, 3 change of delta
//	bit  2    step follows
//	bit  3    palette
//	bit  4    patches
//	bit  5    whole
//	bits 6-7  form: 0 integer, 1 decimal, 2 binary
//
// A page without a cell has nothing but its mode. A form other than integer is
// for floats only and takes the next byte of the exponents section. The numbers
// section then has, patches, palette and step only where the mode says so:
//
//	patches: count uvarint | { cells skipped since the patch before uvarint | raw bits uvarint }*
//	palette: count uvarint | smallest varint | { rise over the one before uvarint }*
//	base varint
//	step uvarint
//
// The residuals of a page that is not constant are the next plane: one token
// a cell, for transforms 2 and 3 without the first, whose residual is zero. A
// patched cell has its token too, and so a rank that is in the palette; a plane
// of no token is one all the same. The assignment section names the pool of each
// plane, in order, with a u8 from 0 on; a plane is the next tokens of that pool's
// section. A token says what residual it is, or how many low bits of it are the
// next bits of the bits section, lowest first:
//
//	token t < 4   the residual is t
//	token t >= 4  l = t/2 (rounded down), b = t mod 2: the residual is 2^l + b*2^(l-1) + the next l-1 bits
//
// A residual r stands for the number n of which r is the zigzag. With y, d = 0
// before the first cell, and step 1 where none is given:
//
//	constant         x = base
//	centred          x = base + step*n
//	delta            y += n, x = base + step*y
//	change of delta  d += n, y += d, x = base + step*y
//
// If there is a palette, x is a rank in it, from 0 on, and is replaced by the
// number of that rank. x then becomes the raw bits v of the cell:
//
//	integer form  v = the low bits of x, as many as the bytes of the type have; for floats first, with
//	              x as a signed number of that width: if it is negative, all bits but the sign are inverted
//	decimal form  v = bits of x / 10^e, x signed, e = exponent, 0 to 22
//	binary form   v = bits of x * 2^-e, x signed, e = exponent as a signed byte
//
// The division and the product are those of binary64; for float32 the result is
// then rounded to binary32. Last, patched cells get their raw bits.
//
// # Level B
//
// A batch of level B is the header, a stream of package model, and the checksum:
//
//	0x10 + lane u8 | tag u16 | stream | CRC-32C u32
//
// or, where there is more to say,
//
//	first byte u8  0x17
//	flags u8       lane in bits 0 to 2 | 8 opening follows | 16 schemas follow | 32 base: tag follows | 64 place follows
//	[tag u16]      of the base
//	[place: epoch 8 | first uvarint]
//	[slots u8]     without a base only, which needs a place: 6 to 16
//	[opening: parent epoch 8 | first - first of the epoch uvarint]
//	[schemas section]
//	stream | CRC-32C u32
//
// The base is the chain as it stands after an earlier batch of the same lane. Its
// name is that batch's checksum, the tag the low 16 bits of it. The reader takes
// the chain of that tag; whether it was the right one, the checksum tells. Without
// a place, the epoch is that of the base's batch and the first number the one
// after its last. Without a base a chain begins; its name is 0. Place, lane and
// numbers of a base say nothing of what a batch that leans on it may hold: a chain
// goes from batch to batch in the order in which they were made, and batches of
// level A may come between.
//
// The checksum covers what the header of level A does, with 0x17 for 0x10, then
// the name of the base u32 (all of it), each record or gap as in level A, and the
// content of the schemas section.
//
// A chain has these tables of package model, which go on from batch to batch. All
// but rows have slots 6; rows have those of the chain, or fewer: the most, down to 6,
// with which (columns << slots) is at most 2^20, and at most half of what the rows
// of the tables before leave of 2^22.
//
//	behind   1 column: unsigned, 64 bits
//	order    1 column: unsigned, 16 bits
//	gaps     2 columns: unsigned, 64 and 8 bits
//	bytes    a model of bytes
//	for each schema met, in the order in which they were met, up to 64 of 8192 columns together
//	  rows     5 columns unsigned, 64 bits, for the stamps as in level A; then those of the
//	           schema: bool unsigned 1 bit, others unsigned, signed or float of their width
//	  quality  a column unsigned, 8 bits, for each of the schema
//
// The stream codes, with one row for each number or pair named:
//
//	behind   first - 1 - acked
//	order    what comes next, until 0:
//	  0      the end
//	  1      a gap; gaps: numbers - 1, reason
//	  2      an opaque record: bytes
//	  3      a new table: 7 bits of equal odds: the place of its schema among those carried,
//	         from 1 on, or 0, and then 64 bits: its id. It is no record.
//	  4+2t   a scan of table t, with the qualities of that table's last one (good before the first)
//	  5+2t   a scan of table t; quality: one row of qualities; then as above
//
// A scan is one row of rows. Cells whose quality has no value are skipped and are
// zero; a scan in which such a cell is not zero goes as an opaque record. Records
// come to 4 MiB together at most, the opaque ones to 256 KiB; the other limits are
// those of level A.
//
// # Chunk
//
// A chunk of the buffer stands on its own: it carries the types of its columns,
// though not their names, so its records come back whatever became of the
// schemas. They may be of several epochs and leave holes:
//
//	0x18 | flags u8: 32 types follow | spans uvarint | { epoch 8 | first uvarint | records and gaps uvarint }*
//	[types section] | body | CRC-32C u32: over 0x18, types and records as in a batch
//
// The types section has, for each group of the body in order, as many as 5000
// columns, and all places in the body are 0:
//
//	columns uvarint | type u8 a column
//
// With flag 16 in place of 32 it carries the schemas, as a batch does. Chunks are
// no longer written so.
package batch
