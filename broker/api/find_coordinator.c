/* FindCoordinator: nobody coordinates groups, transactions or share groups here, and a client that
 * asks is told so, once and for all, instead of asking again for ever.
 * It is answered at all since librdkafka takes a broker without it for one older than 0.8.2, and
 * sends what was to be compressed with lz4 as it is. */
#include "api/api.h"

enum { KEY_TYPE_LAST = 2 }; /* group, transaction, share group (KIP-932) */

struct find_coordinator {
    struct call call;
};
const uint16_t find_coordinator_call_size = sizeof(struct find_coordinator);

static enum step find_coordinator_answer(struct flow *flow)
{
    struct call *call = (struct call *)flow;
    const struct find_coordinator_request *in = call->in;
    struct find_coordinator_response *out = call->out;
    bool is_known = in->key_type >= 0 && in->key_type <= KEY_TYPE_LAST;
    enum error error = is_known ? ERROR_UNSUPPORTED_VERSION : ERROR_INVALID_REQUEST;
    struct string why = is_known ? STRING("This broker coordinates no groups and no transactions")
                                 : STRING("This type of coordinator is not known");
    out->error_code = call->version < 4 ? error : ERROR_NONE;
    out->error_message = call->version >= 1 && call->version < 4 ? why : STRING_NULL;
    out->node_id = call->version < 4 ? -1 : 0;
    out->port = call->version < 4 ? -1 : 0;
    int32_t count = call->version < 4 ? 0 : in->coordinator_keys_count;
    if (count > 0)
        out->coordinators =
            call_take_messages(call, &find_coordinator_response_coordinator_message, count);
    if (count > 0 && !out->coordinators) {
        call_refuse(call, error_text(ERROR_NO_MEMORY));
        return STEP_NEXT;
    }
    out->coordinators_count = count;
    for (int32_t i = 0; i < count; i++)
        out->coordinators[i] =
            (struct find_coordinator_response_coordinator){.key = in->coordinator_keys[i],
                                                           .node_id = -1,
                                                           .host = STRING(""),
                                                           .port = -1,
                                                           .error_code = error,
                                                           .error_message = why};
    call_reply(call, NULL);
    return STEP_NEXT;
}

const struct flow_kind find_coordinator_kind = {"find-coordinator",
                                                {{"answer", find_coordinator_answer}}};
