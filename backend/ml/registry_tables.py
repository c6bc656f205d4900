"""The rows of the feature registry: `name | unit | sources | missing policy | formula`.

Sources, one letter each: S session_completed, B session_started, C ib_call_logged, A tutor_availability_updated,
P payment_recorded, M message_sent, Q booking_requested, U signup_completed; - none carries it yet.
"""

STUDENT_ROWS = """
sessions_7d | sessions | S | zero | sessions held in 7 d
sessions_14d | sessions | S | zero | sessions held in 14 d
sessions_30d | sessions | S | zero | sessions held in 30 d
session_freq_7d | sessions/day | S | zero | sessions_7d / 7
session_freq_14d | sessions/day | S | zero | sessions_14d / 14
session_freq_30d | sessions/day | S | zero | sessions_30d / 30
days_since_last_session | days | S | missing | age of the last session held
avg_session_gap_days | days | S | missing | mean time between consecutive sessions in 90 d
session_trend_7_14 | sessions | S | zero | sessions of the last 7 d less those of the 7 d before
session_trend_14_28 | sessions | S | zero | sessions of the last 14 d less those of the 14 d before
session_acceleration | sessions | S | zero | session_trend_7_14 - session_trend_14_28
weekend_session_ratio | share | S | missing | sessions on Saturday or Sunday / sessions, 30 d
evening_session_ratio | share | S | missing | sessions that ended from 17 to 23 h / sessions, 30 d
avg_rating | 1-5 | S | missing | mean rating of sessions in 30 d
rating_trend | 1-5 | S | missing | mean rating of the last 30 d less that of the 30 d before
rating_volatility | 1-5 | S | missing | standard deviation of the last 20 sessions' ratings
avg_session_duration_min | minutes | S | missing | mean length of sessions in 30 d
total_session_hours_30d | hours | S | zero | total length of sessions in 30 d; NaN if sessions came without a length
engagement_score | 0-100 | S | missing | 100 x min(1, sessions a week over 28 d / 1.5); NaN before the first session
questions_asked_30d | questions | - | unobserved | questions asked in 30 d
materials_accessed_30d | items | - | unobserved | learning materials opened in 30 d
payment_success_rate_30d | share | P | optional | payments that succeeded / payments, 30 d
payment_failures_30d | payments | P | optional | payments that failed in 30 d
avg_transaction_value | money | P | optional | mean amount of payments that succeeded
total_revenue_30d | money | P | optional | total of payments that succeeded in 30 d
payment_method_count | methods | P | optional | different payment methods used
days_since_last_payment | days | P | optional | age of the last payment that succeeded
ib_calls_7d | calls | C | zero | inbound calls in 7 d
ib_calls_14d | calls | C | zero | inbound calls in 14 d
ib_call_rate | calls/day | C | zero | ib_calls_14d / 14
cancellation_rate_7d | share | S | missing | cancelled / ended sessions, 7 d
cancellation_rate_30d | share | S | missing | cancelled / ended sessions, 30 d
no_show_rate_30d | share | S | missing | missed / ended sessions, 30 d
late_cancellations_30d | sessions | S | optional | sessions cancelled late in 30 d; NaN where the flag is never sent
avg_response_time_hours | hours | M | optional | mean time to answer of messages in 30 d
support_tickets_30d | calls | C | zero | inbound calls in 30 d
complaints_30d | calls | C | zero | calls in 30 d with a complaint or tutor reason, or of negative sentiment
tutor_consistency_score | share | S | missing | share of the most frequent tutor in the last 20 sessions
unique_tutors_30d | tutors | S | zero | different tutors in 30 d
preferred_tutor_ratio | share | S | missing | share of the most frequent tutor in all sessions
tutor_rating_avg | 1-5 | S | missing | mean rating this student gave to the most frequent tutor
tutor_availability_score | 0-1 | - | unobserved | how well the tutor's hours suit the student
tutor_subject_expertise_score | 0-1 | - | unobserved | the tutor's expertise in the student's subject
tutor_match_score | 0-1 | - | unobserved | quality of the match of student and tutor
tutor_changed_count_30d | changes | S | zero | sessions in 30 d with another tutor than the session before
preferred_tutor_sessions_ratio | share | S | missing | sessions with the most frequent tutor / sessions, 30 d
"""

TUTOR_ROWS = """
sessions_taught_7d | sessions | B | zero | sessions started in 7 d
sessions_taught_14d | sessions | B | zero | sessions started in 14 d
sessions_taught_30d | sessions | B | zero | sessions started in 30 d
sessions_completed_7d | sessions | S | zero | sessions held in 7 d
sessions_completed_14d | sessions | S | zero | sessions held in 14 d
sessions_completed_30d | sessions | S | zero | sessions held in 30 d
avg_session_duration_min | minutes | S | missing | mean length of sessions in 30 d
session_completion_rate | share | S | missing | held / ended sessions, 30 d
no_show_rate | share | S | missing | missed / ended sessions, 30 d
cancellation_rate | share | S | missing | cancelled / ended sessions, 30 d
days_since_last_session | days | S | missing | age of the last session held
frequency_7d | sessions/day | S | zero | sessions_completed_7d / 7
frequency_14d | sessions/day | S | zero | sessions_completed_14d / 14
avg_rating | 1-5 | S | missing | mean rating received in 30 d
rating_trend | 1-5 | S | missing | mean rating of the last 30 d less that of the 30 d before
rating_volatility | 1-5 | S | missing | standard deviation of ratings in 30 d
positive_reviews_count_30d | reviews | S | zero | ratings above 4 in 30 d
negative_reviews_count_30d | reviews | S | zero | ratings below 3 in 30 d
student_retention_rate | share | S | missing | of the students of the 30 d before last, those who came again in the last 30 d
unique_students_30d | students | S | zero | different students in 30 d
avg_student_lifetime_sessions | sessions | S | missing | sessions held / different students, since ever
available_hours_this_week | hours | A | missing | the last value reported
available_hours_next_week | hours | A | missing | the last value reported
utilization_rate | share | AS | missing | booked hours reported (else hours held in 7 d) / hours available this week
instant_book_enabled | 0/1 | A | missing | the last value reported
avg_response_time_hours | hours | M | optional | mean time to answer of messages in 30 d
booking_lead_time_avg_hours | hours | Q | optional | mean lead time of bookings requested in 30 d
primary_subject_count | subjects | AS | missing | subjects offered (else taught)
subject_diversity_score | 0-1 | S | missing | 1 - sum of squared shares of the subjects taught
avg_rating_by_subject | 1-5 | S | missing | mean over subjects of the mean rating in each
sessions_per_subject_30d | sessions | S | missing | sessions held / different subjects, 30 d
subject_match_accuracy | share | AS | missing | sessions in a subject offered / sessions with a subject
certification_count | certificates | - | unobserved | certificates held
years_of_experience | years | - | unobserved | years of teaching
specialization_score | share | S | missing | share of the most frequent subject
advanced_topics_count | topics | - | unobserved | advanced topics taught
student_grade_improvement_avg | grades | - | unobserved | mean change of students' grades
total_earnings_30d | money | - | unobserved | earnings in 30 d
avg_earnings_per_session | money | - | unobserved | earnings per session
earnings_trend | money | - | unobserved | change of earnings
premium_tier_sessions_ratio | share | S | optional | premium sessions / sessions with a tier, 30 d
discount_sessions_ratio | share | - | unobserved | discounted sessions / sessions
payment_disputes_count_30d | disputes | - | unobserved | disputed payments in 30 d
refund_rate_30d | share | - | unobserved | refunded / paid sessions, 30 d
pricing_competitiveness_score | 0-1 | - | unobserved | price against the market
revenue_per_available_hour | money/hour | - | unobserved | earnings / hours available
"""

COMPACT_ROWS = """
sessions_completed_7d | sessions | S | zero | sessions held in 7 d
sessions_started_7d | sessions | B | optional | sessions started in 7 d
sessions_completed_30d | sessions | S | zero | sessions held in 30 d
weekly_sessions_sd_8w | sessions | S | missing | standard deviation of sessions a week over the whole weeks since the first event, at most 8
tutor_response_hours | hours | M | optional | mean time to answer of messages in 30 d
booking_lead_hours_p95 | hours | Q | optional | 95th percentile of the lead time of bookings in 30 d
match_wait_hours_max | hours | - | unobserved | longest wait for a match
reschedules_30d | sessions | - | unobserved | sessions moved in 30 d
booked_hours_30d | hours | S | zero | total length of sessions in 30 d; NaN if sessions came without a length
session_minutes_sd_30d | minutes | S | missing | standard deviation of session length in 30 d
lost_session_rate_30d | share | S | missing | (cancelled + missed) / ended sessions, 30 d
lost_session_rate_change | share | S | missing | that rate over 7 d less over 30 d
evening_share_30d | share | S | missing | sessions that ended from 17 to 23 h / sessions, 30 d
weekend_share_30d | share | S | missing | sessions on Saturday or Sunday / sessions, 30 d
hours_since_last_alert | hours | - | unobserved | time since the last alert (not an event from outside)
same_tutor_share | share | S | missing | share of the most frequent tutor in all sessions
tutors_per_session | share | S | missing | different tutors / sessions, since ever
open_calls | calls | C | zero | calls in 30 d logged as unresolved
session_minutes_mean | minutes | S | missing | mean length of all sessions
session_minutes_sd | minutes | S | missing | standard deviation of the length of all sessions
sessions_per_call | ratio | SC | missing | sessions / calls, 30 d; NaN without a call
sessions_7d_robust_z | deviations | S | missing | this week less the median of up to 7 before (from 2 on), in (1.4826 MAD + 0.5)
velocity_change | sessions/week | S | zero | sessions_completed_7d - sessions_completed_30d x 7 / 30
tutor_utilisation_in_subject | share | - | unobserved | booked / offered hours of tutors in the student's subject
tier_code | 0-2 | SBU | optional | budget 0, standard 1, premium 2; the last one sent
"""
