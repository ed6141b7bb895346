package framing

import "gatehouse.internal/shared/fault"

// maxChunkDigits keeps the size of a chunk within 60 bits.
const maxChunkDigits = 15

// startChunk reads the line before a chunk (RFC 9112 section 7.1): its size,
// and extensions, which mean nothing to anyone here.
func (s *Scanner) startChunk(line []byte) *fault.Error {
	size, digits := int64(0), 0
	for ; digits < len(line) && isHex(line[digits]); digits++ {
		if digits == maxChunkDigits {
			return errChunkSize
		}
		size = size<<4 | int64(hexValue(line[digits]))
	}
	extension := line[digits:]
	if digits == 0 || len(extension) > 0 && extension[0] != ';' || !isFieldValue(extension) {
		return errChunkSize
	}
	if size == 0 {
		s.begin(trailers)
		return nil
	}
	s.begin(chunkData)
	s.left = size
	return nil
}
