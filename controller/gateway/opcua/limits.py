"""What one client may ask of the server; the rest comes from the settings."""

FRAME_SIZE_MAX = 65_536  # one chunk on the wire
FRAME_SIZE_MIN = 8_192  # a buffer any client must offer (OPC UA part 6, 7.1.2.3)
OPENING_SIZE_MAX = 16_384  # before there is a channel nothing larger is needed
MESSAGE_SIZE_MAX = 1 << 20
CHUNKS_MAX = 16
WRITE_BUFFER_MAX = 8 << 20  # a client that does not read is dropped
PENDING_MESSAGES_MAX = 8

UNAUTHENTICATED_S = 20.0  # a connection without an activated session
CHANNEL_LIFETIME_S_MIN, CHANNEL_LIFETIME_S_MAX = 10.0, 3600.0
SESSION_TIMEOUT_S_MIN = 5.0

OPERATIONS_MAX = 2_000  # in one request
REFERENCES_MAX = 1_000  # in one browse result
CONTINUATION_POINTS_MAX = 5
PATH_ELEMENTS_MAX = 32
METHODS_MAX = 50

PUBLISHING_INTERVAL_MS_MIN, PUBLISHING_INTERVAL_MS_MAX = 100.0, 3_600_000.0
SUBSCRIPTIONS_PER_SESSION_MAX = 50
ITEMS_PER_SESSION_MAX = 20_000
LINKS_PER_ITEM_MAX = 100  # SetTriggering
QUEUE_SIZE_MAX = 1_000
EVENT_QUEUE_SIZE_MAX = 1_000
LIFETIME_S_MAX = 3_600.0
KEEP_ALIVES_MAX = 1_000
PUBLISH_REQUESTS_MAX = 20
RETRANSMISSIONS_MAX = 64  # messages kept for Republish, by subscription
NOTIFICATIONS_MAX = 5_000  # in one message
FILTER_ELEMENTS_MAX = 64
FILTER_OPERANDS_MAX = 1_000  # some clients list every type of event
SELECT_CLAUSES_MAX = 128
HISTORY_VALUES_MAX = 10_000
