#include "api/endpoints.h"
#include "net/address.h"

struct endpoint endpoint_of(struct call *call, const struct image_broker *broker)
{
    const struct broker *self = call->shard->broker;
    bool is_self = !broker || broker->id == self->node_id;
    if (broker && broker->endpoint_count > 0 && (!is_self || self->settings->advertised_listeners))
        return (struct endpoint){string_of(broker->endpoints[0].host), broker->endpoints[0].port};
    char host[ADDRESS_TEXT_BYTES];
    const struct address *local = request_local_address(call->request);
    return (struct endpoint){call_copy_string(call, string_of(address_format_host(local, host))),
                             local->port};
}
