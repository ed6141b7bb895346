// Package contract holds the words that the services say to one another: the
// claims of an access token, the headers that carry identity, the subjects and
// messages on NATS. It imports the standard library alone, so that any service
// can import it. Messages gain fields and never lose or change them: any
// version of a service must be able to run beside the previous one.
package contract
