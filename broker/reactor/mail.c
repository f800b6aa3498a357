#include "reactor/mail.h"
#include "base/reached.h"
#include "reactor/core.h"
#include "base/check.h"
#include "metrics/metrics.h"

void mailbox_init(struct mailbox *mailbox)
{
    atomic_init(&mailbox->newest, NULL);
    atomic_init(&mailbox->sleeping, false);
    mailbox->taken = 0;
}

static void post(struct mail *mail, struct core *from, struct core *to)
{
    struct mailbox *box = &to->mailbox;
    if (from && from->metrics)
        from->metrics->mail_sent++;
    struct mail *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);
    do {
        mail->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&box->newest, &newest, mail,
                                                    memory_order_seq_cst, memory_order_relaxed));
    /* Pairs with core_turn: it sets `sleeping` and then looks into the box once more; we put mail
     * into the box and then look at `sleeping`. One of the two sees the other. */
    if (atomic_load_explicit(&box->sleeping, memory_order_seq_cst) &&
        atomic_exchange_explicit(&box->sleeping, false, memory_order_seq_cst))
        to->port->operations->wake(to->port);
    else
        REACHED("mail to a busy core");
}

void mail_start(struct mail *mail, struct core *from, struct core *to, struct flow *flow,
                const struct flow_kind *kind)
{
    if (from == to) {
        flow_start(flow, kind, to);
        return;
    }
    mail->flow = flow;
    mail->starts = kind;
    post(mail, from, to);
}

void mail_release(struct mail *mail, struct core *from, struct core *to, struct flow *flow)
{
    if (from == to) {
        flow_release(flow);
        return;
    }
    mail->flow = flow;
    mail->starts = NULL;
    post(mail, from, to);
}

bool mailbox_is_empty(const struct mailbox *mailbox)
{
    return atomic_load_explicit(&mailbox->newest, memory_order_seq_cst) == NULL;
}

void mailbox_deliver(struct core *core)
{
    if (mailbox_is_empty(&core->mailbox))
        return;
    struct mail *newest =
        atomic_exchange_explicit(&core->mailbox.newest, NULL, memory_order_acquire);
    struct mail *oldest = NULL;
    while (newest) {
        struct mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct mail *mail = oldest;
        oldest = mail->next; /* read before delivery: the node may be posted again from there */
        core->mailbox.taken++;
        if (mail->starts)
            flow_start(mail->flow, mail->starts, core);
        else
            flow_release(mail->flow);
    }
}
