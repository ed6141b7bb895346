// Package coding decides whether an answer is sent in a content coding (RFC
// 9110 section 8.4), and in which, and encodes it.
//
// It promises that an answer is encoded only if its client asked for the
// coding, nobody has forbidden it, and nothing the answer says about its bytes
// becomes wrong by it; that caches are told what the answer depends on; that
// what has come of a stream can be sent on at any moment; and that encoders are
// bounded in number and in memory: where none is to spare, an answer goes out
// as it is.
//
// What it cannot know is whether an answer holds a secret beside something that
// a stranger chose. The length of such an answer tells the secret bit by bit
// (BREACH), so somebody must decide for each route; nothing is encoded by
// default.
package coding
