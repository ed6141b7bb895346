package framing

import "gatehouse.internal/shared/fault"

// Why a request is refused, in sentences for its client.
var (
	errBareLF        = malformed("A line does not end in CRLF.")
	errRequestLine   = malformed("The request line is not a method, a target and a version.")
	errMethod        = malformed("The method is not a token, or too long.")
	errFieldName     = malformed("The name of a header field is not a token.")
	errFieldValue    = malformed("A header field holds a control character.")
	errFold          = malformed("A header field is folded.")
	errHost          = malformed("There must be one Host field.")
	errTwoHosts      = malformed("The request target and the Host field name two hosts.")
	errLength        = malformed("The Content-Length is not one decimal number.")
	errBothFramings  = malformed("There are both a Content-Length and a Transfer-Encoding.")
	errOldCoding     = malformed("There is a Transfer-Encoding in HTTP/1.0.")
	errLastCoding    = malformed("The last transfer coding is not chunked.")
	errCodings       = malformed("There is more than one Transfer-Encoding field.")
	errLookalike     = malformed("The name of a header field looks like one that says where the body ends.")
	errChunkSize     = malformed("The size of a chunk is not a hexadecimal number.")
	errChunkEnd      = malformed("A chunk is longer than its size.")
	errLongChunk     = malformed("The line before a chunk, or what follows the last one, is too long.")
	errUnknownCoding = fault.New(fault.UnsupportedTransferCoding, "The transfer coding is not supported.")
	errVersion       = fault.New(fault.UnsupportedVersion, "The version of HTTP is not supported.")
	errLongTarget    = fault.New(fault.URITooLong, "The request line is too long.")
	errLongHead      = fault.New(fault.HeadersTooLarge, "The header fields are too large.")
	errManyFields    = fault.New(fault.HeadersTooLarge, "There are too many header fields.")
)

func malformed(detail string) *fault.Error { return fault.New(fault.Malformed, detail) }
