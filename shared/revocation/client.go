package revocation

import "github.com/redis/go-redis/v9"

// NewRedisClient returns a client for the server at url, with RedisOptions. It
// does not connect: a server that is away is found when it comes up.
func NewRedisClient(url string) (*redis.Client, error) {
	options, err := RedisOptions(url)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(options), nil
}
